"""What must hold across files, and that each breach is counted by the check that is named after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from inbox_pipeline.deid.crossfile import FileFacts, Side, judge

MARKERS = (0x00120062, 0x00280303)
DAY = date(2020, 1, 31)


def facts(number: int, patient: str = "A", days: int = 10) -> FileFacts:
    """A file that refers to the next one of two."""
    source = Side(
        {"sop": f"1.2.{number}", "study": "1.2.9"},
        {"ref": f"1.2.{3 - number}", "elsewhere": "1.9"},
        (patient,),
        {"study": DAY, "series": DAY + timedelta(1)},
    )
    output = Side(
        {"sop": f"2.25.{number}", "study": "2.25.9"},
        {"ref": f"2.25.{3 - number}", "elsewhere": "2.25.99"},
        (f"P-{patient}",),
        {"study": DAY - timedelta(days), "series": DAY - timedelta(days - 1)},
        frozenset(MARKERS),
    )
    return FileFacts(source, output)


def failures(*files: FileFacts) -> dict[str, int]:
    return {check.name: check.failed for check in judge(files, MARKERS) if not check.passed}


def test_a_sound_batch_passes_and_says_how_much_was_looked_at() -> None:
    checks = judge([facts(1), facts(2)], MARKERS)
    assert {check.name: check.checked for check in checks} == {
        "uids_consistent": 4,
        "references_resolve": 2,
        "patients_not_merged": 1,
        "patients_not_split": 1,
        "intervals_kept": 4,
        "markers_present": 2,
    }
    assert all(check.passed for check in checks)
    assert all(check.passed and check.checked == 0 for check in judge([], MARKERS))


def changed(file: FileFacts, **output: object) -> FileFacts:
    return file._replace(output=replace(file.output, **output))


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (changed(facts(1), referenced={"ref": "2.25.7"}), {"references_resolve": 1, "uids_consistent": 1}),
        (changed(facts(1), referenced={}), {"references_resolve": 1}),
        (changed(facts(1), referenced={"ref": ""}), {"references_resolve": 1, "uids_consistent": 1}),
        (changed(facts(1), patient=("P-B",)), {"patients_not_split": 1}),
        (changed(facts(1, "B"), patient=("P-A",)), {"patients_not_merged": 1}),
        (changed(facts(1), dates={"study": DAY}), {"intervals_kept": 1}),
        (changed(facts(1), markers=frozenset()), {"markers_present": 1}),
        (changed(facts(1), dates={}), {}),
    ],
)
def test_each_breach_is_counted(broken: FileFacts, expected: dict[str, int]) -> None:
    assert failures(broken, facts(2)) == expected


def test_two_originals_must_not_become_one() -> None:
    merged = changed(facts(1), defined={"sop": "2.25.2", "study": "2.25.9"})
    assert failures(merged, facts(2))["uids_consistent"] >= 1


def test_patients_have_their_own_offsets() -> None:
    assert failures(facts(1, "A", 10), facts(2, "B", 300)) == {}


def test_a_large_batch_takes_no_long() -> None:
    assert failures(*(facts(1 + number % 2) for number in range(5000))) == {}
