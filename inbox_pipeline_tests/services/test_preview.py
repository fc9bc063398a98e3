"""The preview of scripts: what it says is what an import and the command `anonymize` then do, and nothing is kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script.differences import differences
from inbox_pipeline.services import anonymize_folder, preview_tables, scripts
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.preview import NamedScript, Order, Preview, preview
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.dicom import builders
from inbox_pipeline_tests.services.previewing import Spy, done, foretold, imported, key_of, spy_on

EVERYTHING = """version "6.6"
(0010,0010) := subject
(0010,0020) := session
(0008,0018) := hashUID[(0008,0018)]
(0020,000D) := mapUID[(0020,000D), "1.2.3"]
(0018,1030) := newUID[]
(0008,0020) := shiftDateByIncrement[(0008,0020), "-7"]
(0008,1030) := "\N{GREEK CAPITAL LETTER OMEGA} beyond the file's character set"
(0040,0275)[0]/(0040,0007) := "made on the way"
(0029,{TEST CREATOR}07) := "set"
(0031,{NEW CREATOR}01) := "made"
- (0008,1110)[0]/(0008,1199)
- (0008,0050)
- (0029,{TEST CREATOR}02)
*/(0008,1150) ?= "1.2.840.10008.5.1.4.1.1.2"
blankValues["S1"]
"""
SCRIPT = NamedScript("all.das", EVERYTHING)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return spy_on(monkeypatch)


def odd_instance(number: int, **more: Any) -> Dataset:
    """Nested, private and beyond ASCII, in a series of its own; refers to its neighbours."""
    dataset = builders.instance(SOPInstanceUID=f"1.2.3.4.{number}", SeriesInstanceUID=f"1.2.3.{number}", **more)
    inner = builders.item(ReferencedSOPInstanceUID=f"1.2.3.4.{number % 5 + 1}", ReferencedSOPClassUID="1.2")
    dataset.ReferencedStudySequence[0].ReferencedSOPSequence = [inner]
    dataset.ReferencedImageSequence = [
        builders.item(ReferencedSOPInstanceUID=f"1.2.3.4.{each}", ReferencedSOPClassUID="1.2") for each in range(1, 6)
    ]
    return dataset


@pytest.fixture
def odd_folder(site: Site) -> Path:
    """One file per transfer syntax, and two with other character sets, one of them with sequences of unknown length."""
    folder = site.settings.inbox_path / "P" / "odd"
    folder.mkdir(parents=True)
    for number, syntax in enumerate(builders.SYNTAXES, 1):
        (folder / f"{number}.dcm").write_bytes(
            builders.part10(builders.with_pixels(odd_instance(number), syntax), syntax)
        )
    japanese = odd_instance(6, SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎")
    japanese.Manufacturer = "山田"
    (folder / "6.dcm").write_bytes(builders.part10(builders.undefined(japanese)))
    (folder / "7.dcm").write_bytes(builders.part10(odd_instance(7, SpecificCharacterSet="ISO_IR 192")))
    return folder


def rows_of(made: Preview) -> dict[str, preview_tables.Row]:
    """The rows of the only table, by path."""
    ((table,),) = [series.tables for series in made.series]
    return {row.path: row for row in table.rows}


def simple(folder: Path, text: str, **order: Any) -> Preview:
    return preview(Order([NamedScript("s.das", text)], [folder], **order))


def test_the_preview_of_a_file_is_what_an_import_does_to_it(
    site: Site, admin: Account, odd_folder: Path, spy: Spy
) -> None:
    scripts.store_script(site, "admin", EVERYTHING)
    made = preview(Order([SCRIPT], [odd_folder], "P", key=key_of(site)))
    ledger = imported(site, admin, odd_folder)
    assert (made.files, made.stopped, made.whole) == (7, {}, True)
    for name, row in ledger.items():
        assert row["disposition"] == "archived"
        written = site.settings.archive_path / row["archived_path"]
        assert foretold(spy.comparisons[name]) == done(odd_folder / name, written), name


def test_the_preview_of_a_file_is_what_anonymize_does_to_it(site: Site, odd_folder: Path, spy: Spy) -> None:
    target, key = site.settings.home / "out", bytes(32)
    preview(Order([SCRIPT], [odd_folder], key=key))
    result = anonymize_folder.anonymize_folder(anonymize_folder.Order(odd_folder, target, (EVERYTHING,), key=key))
    assert result.outcome == "complete"
    for row in result.rows:
        found = differences(
            pydicom.dcmread(odd_folder / row["source_path"]), pydicom.dcmread(target / row["archived_path"])
        )
        assert spy.comparisons[row["source_path"]] == found, row["source_path"]


def test_what_differs_is_what_the_journals_tell(odd_folder: Path, spy: Spy) -> None:
    preview(Order([SCRIPT], [odd_folder], session="E1", key=bytes(32)))
    assert len(spy.traces) == 7
    for name, trace in spy.traces.items():
        journal = [change for applied in trace.applied for change in applied.outcome.changes]
        told = {change.path for change in (*journal, *trace.followed)}
        assert {row.path for row in spy.comparisons[name].rows} == told, name
        assert {change.action for change in journal} == {"set", "create", "delete", "empty", "recode"} - (
            {"recode"} if name in ("6.dcm", "7.dcm") else set()
        )
        assert trace.followed


def test_a_row_says_before_after_action_and_line(tmp_path: Path) -> None:
    folder = session_folder(tmp_path / "in", SeriesDescription="t1", SpecificCharacterSet="ISO_IR 100")
    text = 'version "6.3"\n(0010,0010) := subject\n  (0008,1030) := "x"\n(0008,1030) := "y"\n- (0008,0060)\n'
    made = simple(folder, text, subject="S1")
    rows = rows_of(made)
    assert set(rows) == {"(0008,0060)", "(0008,1030)", "(0010,0010)"}
    row = rows["(0008,1030)"]
    assert (row.name, row.before.example, row.after.example) == ("StudyDescription", "FAKE STUDY", "y")
    assert row.cause == preview_tables.Cause("set", "s.das", 4, '(0008,1030) := "y"')
    assert (row.changes, row.before.distinct, row.after.distinct) == (3, 1, 1)
    assert (rows["(0008,0060)"].after.example, rows["(0008,0060)"].cause.action) == (None, "delete")
    heading = made.series[0].heading
    assert (heading.number, heading.description, heading.modality) == ("1", "t1", "MR")
    assert heading.variables == {"project": "Unassigned", "subject": "S1", "session": "FAKE001"}


def test_labels_are_those_of_an_import(site: Site, admin: Account, spy: Spy) -> None:
    folder = session_folder(site.settings.inbox_path / "P" / "visit", PatientComments="Subject:AA Session:BB")
    made = simple(folder, 'version "6.1"\n(0010,0010) := subject\n', project="P")
    assert made.series[0].heading.variables == {"project": "P", "subject": "AA", "session": "BB"}


def test_files_that_change_alike_share_a_table_and_values_are_counted(tmp_path: Path) -> None:
    folder = session_folder(tmp_path / "in", files=40)
    save(instance(number=41, AccessionNumber="A"), folder / "other.dcm")
    made = simple(folder, 'version "6.1"\n(0008,0018) := hashUID[(0008,0018)]\n- (0008,0050)\n')
    (series,) = made.series
    most, other = series.tables
    assert (most.files, other.files, other.example) == (40, 1, "other.dcm")
    ((row,), unchanged) = most.rows, most.unchanged
    assert (row.before.distinct, row.after.distinct, row.changes) == (40, 40, 40)
    assert unchanged[0] == unchanged[1] == len(instance()) - 1
    assert other.unchanged == unchanged


def test_items_of_one_sequence_are_one_row(tmp_path: Path) -> None:
    frames = [builders.item(PatientName=f"FAKE^{number}") for number in range(200)]
    folder = session_folder(tmp_path / "in", files=1, RequestAttributesSequence=frames)
    row = rows_of(simple(folder, 'version "6.5"\n*/(0010,0010) ?= "X"\n'))["(0040,0275)[*]/(0010,0010)"]
    assert (row.changes, row.before.distinct, row.after.distinct) == (200, 200, 1)


def test_references_that_follow_have_no_line(odd_folder: Path) -> None:
    made = simple(odd_folder, 'version "6.1"\n(0008,0018) := hashUID[(0008,0018)]\n')
    followed = [
        row
        for series in made.series
        for table in series.tables
        for row in table.rows
        if row.cause.action == "reference"
    ]
    assert {row.path for row in followed} >= {"(0008,1140)[*]/(0008,1155)"}
    assert all(row.cause == preview_tables.Cause("reference") for row in followed)


def test_binary_values_long_texts_and_pixels_are_named_not_shown(tmp_path: Path) -> None:
    dataset = instance(PatientComments="c" * 5000, SpectroscopyData=b"\xff" * 64)
    folder = save(dataset, tmp_path / "in" / "a.dcm").parent
    text = (
        'version "6.3"\n- (0010,4000)\n- (5600,0020)\nalterPixels["rectangle", "l=0, t=0, r=4, b=4", "solid", "v=9"]\n'
    )
    rows = rows_of(simple(folder, text))
    comment = str(rows["(0010,4000)"].before.example)
    assert comment.startswith("ccc")
    assert "<5,000 characters, sha256 " in comment
    assert str(rows["(5600,0020)"].before.example).startswith("<64 bytes, sha256 ")
    pixels = rows["(7FE0,0010)"]
    assert (pixels.before.example, pixels.after.example) == ("pixel data, 512 bytes", "pixels altered, 512 bytes")
    assert pixels.cause.action == "pixels"


def test_what_has_no_table_is_named_with_its_reason_and_place(tmp_path: Path) -> None:
    folder = session_folder(tmp_path / "in", files=4)
    (folder / "note.txt").write_text("not DICOM at all, and long enough to be looked at")
    (folder / "empty").write_bytes(b"")
    whole = (folder / "s1-4.dcm").read_bytes()
    (folder / "s1-4.dcm").write_bytes(whole[:-100])
    text = (
        'version "6.6"\n(0020,0013) = "1" ? reject[]\n'
        '(0020,0013) = "2" ? (0028,0010) := "no number"\n(0008,0090) := (0008,1048)\n'
    )
    made = simple(folder, text)
    stopped = {stop.reason: (stop, names) for stop, names in made.stopped.items()}
    assert {reason: names for reason, (_, names) in stopped.items()} == {
        "script_rejected": ["s1-1.dcm"],
        "script_error": ["s1-2.dcm"],
        "truncated": ["s1-4.dcm"],
        "not_dicom": ["note.txt"],
        "empty_file": ["empty"],
    }
    place = stopped["script_error"][0].place
    assert place is not None
    assert (place.line, place.source_line) == (3, '(0020,0013) = "2" ? (0028,0010) := "no number"')
    assert place.source_line[place.column - 1 :].startswith("(0028,0010)")
    ((table,),) = [series.tables for series in made.series]
    assert table.no_effect == {"s.das, line 4: there is no value to assign; (0008,0090) was left as it is": 1}
    assert not made.whole


def test_a_strict_preview_stops_what_a_strict_project_holds(tmp_path: Path) -> None:
    folder = session_folder(tmp_path / "in")
    made = simple(folder, 'version "6.1"\n(0008,0090) := (0008,1048)\n', strict=True)
    ((stop, names),) = made.stopped.items()
    assert (stop.reason, stop.disposition, len(names), made.files) == ("script_no_effect", "held", 3, 0)


def test_a_rejection_alone_leaves_the_preview_whole(tmp_path: Path) -> None:
    made = simple(session_folder(tmp_path / "in"), 'version "6.6"\nreject[]\n')
    assert (made.files, made.whole) == (0, True)


def test_files_and_folders_are_each_looked_at_once(tmp_path: Path) -> None:
    one, two = session_folder(tmp_path / "a" / "one"), session_folder(tmp_path / "a" / "two", study=2)
    paths = [one / "s1-1.dcm", one, two / "s2-3.dcm", one / "s1-1.dcm"]
    made = preview(Order([NamedScript("s.das", 'version "6.1"\n')], paths))
    assert made.files == 4
    assert [series.tables[0].example for series in made.series] == ["one/s1-1.dcm", "two/s2-3.dcm"]


@pytest.mark.parametrize(
    ("paths", "text", "order", "code"),
    [
        (["nowhere"], 'version "6.1"\n', {}, "path_not_found"),
        (["in"], 'version "6.1"\n(0010,0010) = \n', {}, "script_invalid"),
        (["in/note.txt"], 'version "6.1"\n', {}, "nothing_to_preview"),
        (["in"], 'version "6.1"\n', {"session": "E"}, "several_studies_one_label"),
    ],
)
def test_what_cannot_be_previewed_is_refused(
    tmp_path: Path, paths: list[str], text: str, order: Mapping[str, str], code: str
) -> None:
    folder = session_folder(tmp_path / "in")
    session_folder(folder, study=2)
    (folder / "note.txt").write_text("not DICOM at all, and long enough to be looked at")
    with pytest.raises(Rejected) as refused:
        preview(Order([NamedScript("s.das", text)], [tmp_path / path for path in paths], **order))
    assert refused.value.code == code


def test_nothing_is_written_and_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = session_folder(tmp_path / "in")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    opened = os.open

    def read_only(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        assert not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    simple(folder, EVERYTHING)
    monkeypatch.undo()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert caplog.text == ""
