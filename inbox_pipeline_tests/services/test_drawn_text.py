"""The command `anonymize` on images with drawn text: blanked in every frame, recorded, released or held."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from inbox_pipeline.cli import main
from inbox_pipeline.store.secret import new_secret
from inbox_pipeline_tests.data_for_tests import instance
from inbox_pipeline_tests.drawing import anatomy, draw

NAME = "MARTIN 1347"
SIZE = (128, 160)


def picture(frames: int = 1, kind: str = "<u2", text: str = NAME, value: int = 1000, **values: Any) -> Any:
    """An image of `frames` slices with a text in the corner of the last one; the arrays before and after drawing."""
    clean = np.stack([anatomy(*SIZE, most=200, seed=seed) for seed in range(frames)]).astype(kind)
    clean[:, :40] = 0
    drawn = clean.copy()
    box = draw(drawn[-1], text, value)
    bits = clean.dtype.itemsize * 8
    described = {"Rows": SIZE[0], "Columns": SIZE[1], "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1}
    described |= {"PixelRepresentation": int(clean.dtype.kind == "i"), "NumberOfFrames": frames}
    return instance(PixelData=drawn.tobytes(), **(described | values)), drawn, box


def anonymized(tmp_path: Path, dataset: Any, *options: object, **encoding: Any) -> tuple[dict[str, Any], Any]:
    """The ledger's row of one file, and what became of it; None if it is held."""
    (tmp_path / "in").mkdir()
    pydicom.dcmwrite(tmp_path / "in" / "one.dcm", dataset, **encoding)
    new_secret(tmp_path / "s.key")
    given = ["anonymize", str(tmp_path / "in"), str(tmp_path / "out"), "--policy", "basic", "--secret-file"]
    report = ["--report", str(tmp_path / "r.jsonl"), *map(str, options)]
    CliRunner().invoke(main, [*given, str(tmp_path / "s.key"), *report])
    (row,) = map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    made = list((tmp_path / "out").rglob("*.dcm"))
    return row, pydicom.dcmread(made[0]) if made else None


def assert_blanked(made: Any, drawn: Any, box: tuple[slice, slice]) -> None:
    """In every frame the text's place is blank, and all but four pixels around it are as they were."""
    array = made.pixel_array.reshape(drawn.shape)
    assert not array[:, box[0], box[1]].any()
    rest = np.ones(drawn.shape, bool)
    rest[:, box[0].start - 4 : box[0].stop + 4, box[1].start - 4 : box[1].stop + 4] = False
    assert np.array_equal(array[rest], drawn[rest])
    assert made.BurnedInAnnotation == "NO"
    assert "113101" in [code.CodeValue for code in made.DeidentificationMethodCodeSequence]


@pytest.mark.parametrize("stated", [{}, {"BurnedInAnnotation": "NO"}, {"BurnedInAnnotation": "YES"}])
@pytest.mark.parametrize("kind", ["<u2", "<i2", "<u4"])
def test_text_is_blanked_and_recorded(tmp_path: Path, kind: str, stated: dict[str, str]) -> None:
    dataset, drawn, box = picture(kind=kind, **stated)
    row, made = anonymized(tmp_path, dataset)
    assert (row["disposition"], row["detail"], row["warnings"]) == (
        "archived",
        "drawn text was blanked, places: 1",
        1,
    )
    assert_blanked(made, drawn, box)


def test_text_of_one_frame_is_blanked_in_all(tmp_path: Path) -> None:
    dataset, drawn, box = picture(frames=5)
    _, made = anonymized(tmp_path, dataset)
    assert_blanked(made, drawn, box)


def test_text_is_found_in_a_file_that_looks_like_those_before_it(tmp_path: Path) -> None:
    """What is remembered from file to file does not speak for the pixels of the next one."""
    for number in range(1, 7):
        dataset, _, _ = picture(text=NAME if number == 5 else " ", InstanceNumber=number)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.77{number}"
        (tmp_path / "in").mkdir(exist_ok=True)
        pydicom.dcmwrite(tmp_path / "in" / f"{number}.dcm", dataset)
    new_secret(tmp_path / "s.key")
    given = ["anonymize", str(tmp_path / "in"), str(tmp_path / "out"), "--secret-file", str(tmp_path / "s.key")]
    CliRunner().invoke(main, [*given, "--report", str(tmp_path / "r.jsonl")])
    rows = map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    assert {row["source_path"] for row in rows if row["detail"]} == {"5.dcm"}
    blanked = [d for d in map(pydicom.dcmread, (tmp_path / "out").rglob("*.dcm")) if "BurnedInAnnotation" in d]
    assert [made.InstanceNumber for made in blanked] == [5]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_text_is_found_in_other_encodings(tmp_path: Path, syntax: str) -> None:
    dataset, drawn, box = picture()
    little = syntax != ExplicitVRBigEndian
    dataset.PixelData = drawn.astype("<u2" if little else ">u2").tobytes()
    del dataset.file_meta.TransferSyntaxUID
    dataset.file_meta.TransferSyntaxUID = syntax
    encoding = {"implicit_vr": little, "little_endian": little, "force_encoding": True}
    _, made = anonymized(tmp_path, dataset, **encoding)
    assert_blanked(made, drawn, box)


def test_dark_text_on_a_negative_is_found(tmp_path: Path) -> None:
    dataset, drawn, box = picture(PhotometricInterpretation="MONOCHROME1")
    negative = (1000 - drawn.astype(int)).astype("<u2")
    dataset.PixelData = negative.tobytes()
    row, made = anonymized(tmp_path, dataset)
    assert row["detail"]
    assert_blanked(made, negative, box)


def test_text_in_one_colour_is_found(tmp_path: Path) -> None:
    colours = np.stack([anatomy(*SIZE, most=200, seed=seed) for seed in range(3)], axis=-1).astype("u1")
    box = draw(colours[..., 1], NAME, 255)
    dataset, _, _ = picture(
        kind="u1", value=255, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "OP"
    dataset.PixelData = colours.tobytes()
    _, made = anonymized(tmp_path, dataset)
    rows, columns = box
    assert not made.pixel_array[rows, columns].any()
    assert np.array_equal(made.pixel_array[30:], colours[30:])


def test_what_shows_no_text_keeps_its_bytes(tmp_path: Path) -> None:
    dataset, drawn, _ = picture(frames=3, text="")
    row, made = anonymized(tmp_path, dataset)
    assert (row["detail"], row["warnings"], made.PixelData) == (None, 0, drawn.tobytes())
    assert "BurnedInAnnotation" not in made


def test_an_annotation_that_is_not_found_holds(tmp_path: Path) -> None:
    dataset, _, _ = picture(text="", BurnedInAnnotation="YES")
    row, made = anonymized(tmp_path, dataset)
    assert (row["disposition"], row["reason"], made) == ("held", "burned_in_risk", None)


def test_an_annotation_of_which_something_remains_holds(tmp_path: Path) -> None:
    dataset, drawn, _ = picture(BurnedInAnnotation="YES")
    draw(drawn[0], "AMI", 1000, top=100, left=60)
    dataset.PixelData = drawn.tobytes()
    row, made = anonymized(tmp_path, dataset)
    assert (row["reason"], made) == ("burned_in_risk", None)


@pytest.mark.parametrize(
    ("name", "value"), [("ConversionType", "SD"), ("ImageType", ["DERIVED", "SECONDARY", "SCREEN SAVE"])]
)
def test_other_kinds_at_risk_stay_held(tmp_path: Path, name: str, value: Any) -> None:
    dataset, _, _ = picture(BurnedInAnnotation="YES", **{name: value})
    assert anonymized(tmp_path, dataset)[0]["reason"] == "burned_in_risk"


def test_a_rule_that_keeps_speaks_first(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("format: inbox-pipeline pixel rules 1\nrules:\n  - {name: known, modality: MR, action: keep}\n")
    dataset, drawn, _ = picture()
    row, made = anonymized(tmp_path, dataset, "--pixel-rules", rules)
    assert (row["detail"], made.PixelData) == (None, drawn.tobytes())


@pytest.mark.parametrize("stated", [{}, {"BurnedInAnnotation": "YES"}])
def test_a_script_that_blanks_speaks_first(tmp_path: Path, stated: dict[str, str]) -> None:
    script = tmp_path / "s.das"
    script.write_text('version "6.3"\nalterPixels["rectangle", "l=0, t=60, r=20, b=80", "solid", "v=0"]\n')
    dataset, drawn, (rows, columns) = picture(**stated)
    row, made = anonymized(tmp_path, dataset, "--script", script)
    assert row["disposition"] == "archived"
    assert np.array_equal(made.pixel_array[rows, columns], drawn[0, rows, columns])
    assert not made.pixel_array[61:79, :19].any()


@pytest.mark.parametrize(("stated", "blanked"), [({}, False), ({"BurnedInAnnotation": "YES"}, True)])
def test_compressed_images_are_decoded_where_they_say_yes(
    tmp_path: Path, stated: dict[str, str], blanked: bool
) -> None:
    dataset, drawn, box = picture(frames=2, **stated)
    dataset.compress(RLELossless, generate_instance_uid=False)
    before = dataset.PixelData
    _, made = anonymized(tmp_path, dataset)
    if blanked:
        assert_blanked(made, drawn, box)
    else:
        assert made.PixelData == before


def test_text_behind_which_pixels_are_missing_holds(tmp_path: Path) -> None:
    dataset, drawn, _ = picture()
    dataset.PixelData = drawn.tobytes()[:-4000]
    row, made = anonymized(tmp_path, dataset)
    assert (row["reason"], made) == ("pixels_not_blanked", None)
