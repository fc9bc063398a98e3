"""XNAT's identification rules, one row per rule (contract section 2.3)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inbox_pipeline.intake.identify import assignment, identify
from inbox_pipeline.intake.labels import MAX_LENGTH, fix, is_legal, scan_label


def header(**values: str | None) -> SimpleNamespace:
    names = ("patient_comments", "study_comments", "additional_patient_history", "patient_name", "patient_id")
    more = ("study_description", "accession_number")
    return SimpleNamespace(**{name: values.get(name) for name in (*names, *more)}, others={})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Subject: S1", "S1"),
        ("subject:S1", "S1"),
        ("SUBJECT : S-1_x; Session: E", "S-1_x"),
        ("Subject:A Subject:B", "B"),
        ("Subject:A Subject:B.c", "A"),
        ("Subject: Subject : S1", "S1"),
        ("Subject:\r\n S1,Subject:", "S1"),
        ("Subject:A;subject\t:\tB_2-c;", "B_2-c"),
        ("a,Subject:S1,b", "S1"),
        ("xSubject:S1", None),
        ("Subject:S1.x", None),
        ("Subject: ", None),
        ("Subject:S1\nmore", "S1"),
        ("Subject:Sé", None),
        (None, None),
    ],
)
def test_assignments_in_comments(text: str | None, value: str | None) -> None:
    assert assignment("subject", text) == value


@pytest.mark.parametrize(
    ("values", "subject", "session", "expected"),
    [
        (
            {"patient_name": "DOE^JANE", "patient_id": "ID 1"},
            None,
            None,
            ("DOE_JANE", "ID_1", "patient_name", "patient_id"),
        ),
        ({"patient_name": "DOE^JANE", "patient_id": "1"}, "S", "E", ("S", "E", "parameter", "parameter")),
        ({"patient_id": "1"}, None, None, ("1", "1", "session_label", "patient_id")),
        (
            {"patient_name": " ^^ ", "patient_id": " "},
            None,
            None,
            ("dicom_upload", "dicom_upload", "session_label", "fallback"),
        ),
        (
            {"patient_comments": "Session:C1", "study_comments": "Subject:S2 Session:C2", "patient_name": "X"},
            None,
            None,
            ("S2", "C1", "study_comments", "patient_comments"),
        ),
        (
            {"additional_patient_history": "Project:P Subject:S3 Session:E3", "patient_id": "1"},
            None,
            None,
            ("S3", "E3", "additional_patient_history", "additional_patient_history"),
        ),
    ],
)
def test_the_first_rule_that_gives_a_label_wins(
    values: dict[str, str], subject: str | None, session: str | None, expected: tuple[str, ...]
) -> None:
    found = identify(header(**values), subject, session)
    assert (found.subject.label, found.session.label, found.subject.rule, found.session.rule) == expected


@pytest.mark.parametrize(("text", "wish"), [("AA:true", True), ("aa: F", False), ("AA:maybe", None), ("", None)])
def test_the_header_may_wish_for_auto_archive(text: str, wish: bool | None) -> None:
    assert identify(header(patient_comments=text)).auto_archive is wish


def test_labels_made_from_headers_are_always_legal_folder_names() -> None:
    for value in ("../../etc", "a/b\\c", "Müller^Anna=x", "x" * 500, "-", "\x00"):
        assert is_legal(fix(value))
    assert fix("x" * 300) != fix("x" * 301)
    assert len(fix("x" * 300)) <= MAX_LENGTH
    assert not is_legal("a b")
    assert not is_legal("")


@pytest.mark.parametrize(
    ("number", "label"),
    [
        ("3", "3"),
        ("007", "007"),
        (" 7 ", "7"),
        ("1_0", "1.2.3"),
        ("1.5", "1.5"),
        ("-3", "-3"),
        ("DOE", "1.2.3"),
        ("1\\2", "1"),
        ("+1", "_1"),
        ("1+1", "1.2.3"),
        ("", "1.2.3"),
        (None, "1.2.3"),
        ("a/b", "1.2.3"),
        ("..", "1.2.3"),
    ],
)
def test_scan_labels(number: str | None, label: str) -> None:
    assert scan_label(number, "1.2.3") == label
