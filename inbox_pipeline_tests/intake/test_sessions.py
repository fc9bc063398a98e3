"""Grouping, scan ids, copies, gaps and verdicts: decisions without I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox_pipeline.intake.copies import Copy, judge_copies, needing_digests
from inbox_pipeline.intake.sessions import Destination, FileFacts, plan_sessions
from inbox_pipeline.intake.verdict import SessionEnd, judge

AUTO = Destination(prearchive_code=4)


def facts(row_id: int, **values: object) -> FileFacts:
    base: dict[str, object] = {
        "source_path": b"%04d" % row_id,
        "study_key": "study",
        "series_key": "series",
        "patient_key": "patient",
        "subject_label": "S",
        "session_label": "E",
        "subject_rule": "patient_name",
        "session_rule": "patient_id",
        "scan_label": "1",
        "modality": "MR",
        "instance_number": row_id,
    }
    return FileFacts(row_id=row_id, **{**base, **values})  # type: ignore[arg-type]


def order(*studies: str) -> dict[str, tuple[str, ...]]:
    return {study: ("20200101", f"{number:06d}", study) for number, study in enumerate(studies or ("study",))}


def test_series_that_share_a_number_get_scan_ids_of_their_own() -> None:
    files = [facts(1), facts(2, series_key="b"), facts(3, series_key="c"), facts(4)]
    (session,) = plan_sessions(files, order(), AUTO)
    assert session.scans == {1: "1", 2: "1-MR1", 3: "1-MR2", 4: "1"}


@pytest.mark.parametrize(
    ("modality", "label"),
    [("PT", "1-PT1"), ("CT", "1-CT1"), ("RTSTRUCT", "1-RT1"), ("KO", "1-OT1"), ("IVUS", "1-US1"), ("", "1-OT1")],
)
def test_their_letters_are_those_of_the_scan_type(modality: str, label: str) -> None:
    files = [facts(1, modality=modality), facts(2, series_key="b", modality=modality)]
    (session,) = plan_sessions(files, order(), AUTO)
    assert session.scans == {1: "1", 2: label}


def test_labels_are_compared_without_case() -> None:
    files = [facts(1, session_label="e"), facts(2, study_key="b", session_label="E")]
    first, second = plan_sessions(files, order("b", "study"), AUTO)
    assert (first.study_key, first.state, second.reason) == ("b", "ARCHIVING", "label_taken")


def test_a_file_without_patient_id_stays_with_its_study() -> None:
    (session,) = plan_sessions([facts(1, patient_key=""), facts(2)], order(), AUTO)
    assert (len(session.scans), session.patient_key) == (2, "patient")


def test_wishes_go_before_the_project() -> None:
    manual = Destination(prearchive_code=0)
    assert plan_sessions([facts(1)], order(), manual)[0].state == "READY"
    assert plan_sessions([facts(1, auto_archive=True)], order(), manual)[0].destination == "archive"
    assert plan_sessions([facts(1, auto_archive=True)], order(), Destination(0, False))[0].state == "READY"


def test_a_missing_slice_is_found_and_a_sparse_numbering_is_not() -> None:
    numbers = [1, 2, 4, 5]
    (session,) = plan_sessions([facts(n, instance_number=n) for n in numbers], order(), AUTO)
    assert session.findings == [{"code": "missing_instances", "scan": "1", "count": 1}]
    (session,) = plan_sessions([facts(n, instance_number=n * 1000) for n in numbers], order(), AUTO)
    assert session.findings == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=12))
def test_of_all_copies_of_an_instance_exactly_one_is_imported(made: list[tuple[str, str]]) -> None:
    copies = [Copy(n, b"%03d" % n, uid) for n, (uid, _) in enumerate(made)]
    digests = {n: digest for n, (_, digest) in enumerate(made)}
    verdicts = judge_copies(copies, digests, {})
    kept = [copy for copy in copies if copy.row_id not in verdicts]
    assert sorted(copy.sop_key for copy in kept) == sorted({uid for uid, _ in made})
    assert needing_digests(copies, {}) >= verdicts.keys()
    for row_id, reason in verdicts.items():
        winner = next(copy for copy in kept if copy.sop_key == made[row_id][0])
        same = digests[winner.row_id] == digests[row_id]
        assert reason == ("duplicate_in_request" if same else "sop_uid_conflict")


def test_the_largest_group_of_copies_wins() -> None:
    copies = [Copy(1, b"a", "u"), Copy(2, b"b", "u"), Copy(3, b"c", "u")]
    assert judge_copies(copies, {1: "x", 2: "y", 3: "y"}, {}) == {1: "sop_uid_conflict", 3: "duplicate_in_request"}


def test_verdicts_follow_from_counts_and_sessions() -> None:
    archived = SessionEnd(1, "ARCHIVED", None, "INBOX_E00001")
    waiting = SessionEnd(2, "CONFLICT", "label_taken")
    good = {("archived", "archived"): 3, ("not_dicom", "dicomdir"): 1}
    assert judge(good, [archived], None).outcome == "complete"
    assert judge({**good, ("held", "script_error"): 1}, [archived], None).status == "Completed"
    assert judge({**good, ("not_dicom", "not_dicom"): 1}, [archived], None).outcome == "partial"
    assert judge({**good, ("prearchived", "label_taken"): 1}, [archived, waiting], None).status == "Failed"
    assert judge({("prearchived", "label_taken"): 1}, [waiting], None).outcome == "failed"
    assert judge({("excluded", "script_rejected"): 1}, [], None).reason == "nothing_importable"
    assert judge({}, [], ("cancelled", {})).outcome == "cancelled"
    assert judge(good, [archived], None).sentence == (
        "Complete: 3 of 4 files archived in 1 session (1: INBOX_E00001); 1 DICOMDIR."
    )
