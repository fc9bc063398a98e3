"""Text stays readable whatever a script does to it or to its character set."""

import io
from typing import Any

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.dataset import FileMetaDataset

from inbox_pipeline.script import RunError, compile_script


def _read(charset: str | list[str] | None, name: str, nested: str = "ascii") -> Any:
    dataset = Dataset()
    if charset:
        dataset.SpecificCharacterSet = charset
    dataset.PatientName, dataset.PatientID = name, "P1"
    item = Dataset()
    item.PatientComments = nested
    dataset.ReferencedImageSequence = Sequence([item])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return dcmread(io.BytesIO(buffer.getvalue()), force=True)


def _written(dataset: Any) -> Any:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return dcmread(io.BytesIO(buffer.getvalue()), force=True)


def _apply(dataset: Any, script: str, subject: str = "") -> Any:
    return compile_script('version "6.1"\n' + script).apply(dataset, {"subject": subject})


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Ä"),
        ("ISO_IR 192", "Ω^日"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "王^小东"),
    ],
)
def test_text_is_read_as_it_was_meant(charset: str | list[str], name: str) -> None:
    dataset = _read(charset, name)
    _apply(dataset, '(0010,0010) = subject ? (0010,0020) := "same"', name)
    assert dataset.PatientID == "same"


def test_text_that_fits_leaves_the_character_set_alone() -> None:
    dataset = _read("ISO_IR 100", "Müller", "é")
    outcome = _apply(dataset, "(0010,0020) := subject", "Ä")
    assert outcome.root_tags == {0x00100020}
    assert _written(dataset).PatientID == "Ä"


@pytest.mark.parametrize("charset", [None, "ISO_IR 100", "ISO_IR 6"])
def test_text_that_does_not_fit_makes_the_scope_unicode(charset: str | None) -> None:
    dataset = _read(charset, "Müller" if charset == "ISO_IR 100" else "Miller", "é" if charset == "ISO_IR 100" else "e")
    outcome = _apply(dataset, "(0010,0020) := subject", "日")
    written = _written(dataset)
    assert written.SpecificCharacterSet == "ISO_IR 192"
    assert (str(written.PatientName), written.PatientID) == (str(dataset.PatientName), "日")
    assert written.ReferencedImageSequence[0].PatientComments == ("é" if charset == "ISO_IR 100" else "e")
    touched = {0x00080005, 0x00100020} | ({0x00100010, 0x00081140} if charset == "ISO_IR 100" else set())
    assert outcome.root_tags == touched


def test_text_in_an_item_changes_the_scope_that_it_belongs_to() -> None:
    dataset = _read("ISO_IR 100", "Müller", "é")
    _apply(dataset, "(0008,1140)[0]/(0010,0020) := subject", "日")
    written = _written(dataset)
    assert (written.SpecificCharacterSet, str(written.PatientName)) == ("ISO_IR 192", "Müller")
    assert written.ReferencedImageSequence[0].PatientID == "日"


@pytest.mark.parametrize("edit", ['(0008,0005) := "ISO_IR 144"', '(0008,0005) := ""', "-(0008,0005)"])
def test_a_changed_character_set_keeps_the_text(edit: str) -> None:
    dataset = _read("ISO_IR 100", "Müller", "é")
    outcome = _apply(dataset, edit + '\n(0010,0010) = "Müller" ? (0010,0020) := "same"')
    written = _written(dataset)
    assert (written.SpecificCharacterSet, str(written.PatientName)) == ("ISO_IR 192", "Müller")
    assert written.ReferencedImageSequence[0].PatientComments == "é"
    assert written.PatientID == "same"
    assert len(outcome.warnings) == 1


def test_with_ascii_text_the_character_set_is_what_the_script_says() -> None:
    dataset = _read("ISO_IR 100", "Miller")
    outcome = _apply(dataset, '(0008,0005) := "ISO_IR 144"')
    assert dataset.SpecificCharacterSet == "ISO_IR 144"
    assert outcome.root_tags == {0x00080005}


def test_codes_hold_ascii_only() -> None:
    with pytest.raises(RunError, match="ASCII"):
        _apply(_read("ISO_IR 192", "a"), "(0008,0060) := subject", "é")
