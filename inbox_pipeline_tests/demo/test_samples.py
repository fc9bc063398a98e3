"""The demo's sample files: the same bytes every time, marked as fake, with the faults they are meant to have."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from inbox_pipeline.demo.outcomes import EXPECTED
from inbox_pipeline.demo.samples import CLEAN_MR, DAMAGED, TO_DEIDENTIFY, changed_sessions, sample_files, write_samples
from inbox_pipeline.dicom.errors import NotDicom, Truncated
from inbox_pipeline.dicom.header import read_header

DIGEST = (
    "import hashlib; from inbox_pipeline.demo.samples import sample_files;"
    "print(hashlib.sha256(b''.join(n.encode() + c for n, c in sorted(sample_files().items()))).hexdigest())"
)


@pytest.fixture(scope="module")
def samples() -> dict[str, bytes]:
    return sample_files()


def test_two_processes_make_the_same_bytes() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def sample(name: str) -> str:
    """The folder of the sample that a file belongs to."""
    return "/".join(name.split("/")[:2])


def test_every_sample_folder_has_an_expected_outcome_for_each_of_its_files(samples: dict[str, bytes]) -> None:
    for expected in EXPECTED:
        files = [name for name in samples if name.startswith(f"{expected.folder}/")]
        assert len(files) == sum(expected.reasons.values())
        assert 30 <= len(files) <= 60
    assert {sample(name) for name in samples} == {expected.folder for expected in EXPECTED}
    assert sum(map(len, samples.values())) < 3_000_000


def test_the_two_faulty_files_are_the_only_ones_that_cannot_be_read(samples: dict[str, bytes]) -> None:
    faults = {}
    for name, content in samples.items():
        try:
            read_header(io.BytesIO(content), size=len(content))
        except (NotDicom, Truncated) as error:
            faults[name] = type(error)
    assert faults == {f"{DAMAGED}/t2/0016.dcm": Truncated, f"{DAMAGED}/report.pdf": NotDicom}


def test_everybody_in_the_samples_is_marked_as_fake_and_each_session_has_private_elements(
    samples: dict[str, bytes],
) -> None:
    private = set()
    for name, content in samples.items():
        if name.startswith(DAMAGED) and name.endswith(("0016.dcm", ".pdf")):
            continue
        dataset = dcmread(io.BytesIO(content), stop_before_pixels=True)
        assert str(dataset.PatientName).startswith("FAKE^")
        assert dataset.PatientID.startswith("FAKE-")
        if any(element.tag.is_private_creator for element in dataset):
            private.add(sample(name))
    assert private == {expected.folder for expected in EXPECTED}


def test_the_clean_session_holds_four_encodings(
    samples: dict[str, bytes],
) -> None:
    syntaxes = {
        str(dcmread(io.BytesIO(content), stop_before_pixels=True).file_meta.TransferSyntaxUID.name)
        for name, content in samples.items()
        if name.startswith(EXPECTED[0].folder)
    }
    assert syntaxes == {
        "Explicit VR Little Endian",
        "RLE Lossless",
        "JPEG 2000 Image Compression (Lossless Only)",
        "JPEG-LS Lossless Image Compression",
    }


def test_files_that_lie_there_already_are_kept_and_named_as_changed(tmp_path: Path) -> None:
    samples = {f"{CLEAN_MR}/1.dcm": b"one", f"{CLEAN_MR}/2.dcm": b"two", f"{TO_DEIDENTIFY}/1.dcm": b"three"}
    mine = tmp_path / CLEAN_MR / "2.dcm"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert write_samples(tmp_path, samples) == 2
    assert mine.read_bytes() == b"mine"
    assert changed_sessions(tmp_path, samples) == {CLEAN_MR}
    (tmp_path / TO_DEIDENTIFY / "more").write_bytes(b"")
    assert changed_sessions(tmp_path, samples) == {CLEAN_MR, TO_DEIDENTIFY}
    assert write_samples(tmp_path, samples) == 0
