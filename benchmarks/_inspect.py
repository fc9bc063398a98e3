"""Looking at what a tool wrote: can it be read, are the pixels the source's, is the patient's name gone.

Usage: python -m benchmarks._inspect SOURCE OUTPUT
       python -m benchmarks._inspect plant SOURCE OUT
       python -m benchmarks._inspect small OUT

The second form writes SOURCE into OUT with the patient's name in places where names are found by accident, the third a
file as small as any.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path

from pydicom import Dataset, dcmread

from inbox_pipeline_tests.data_for_tests import instance


def words(dataset: Dataset) -> list[bytes]:
    """The words by which a patient's name is recognised in bytes."""
    return [each.encode() for each in re.split(r"[\^= ]", str(dataset.get("PatientName", ""))) if len(each) > 3]


def look(source: Path, output: Path) -> dict[str, bool]:
    """Compare one output with its source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after = dcmread(source), dcmread(output)
        data = output.read_bytes()
        return {
            "pixels_kept": before.PixelData == after.get("PixelData"),
            "name_gone": not any(word in data for word in words(before)),
            "uid_changed": after.get("SOPInstanceUID", "") != before.SOPInstanceUID,
        }


def plant(source: Path, out: Path) -> list[str]:
    """Write SOURCE with its patient's name planted; return the words to look for."""
    dataset = dcmread(source)
    name = str(dataset.PatientName)
    dataset.SeriesDescription = f"{dataset.get('SeriesDescription', '')} {name.replace('^', ' ')}"[:64]
    dataset.ImageComments = f"scan of {name.replace('^', ', ')} repeated"
    dataset.private_block(0x0029, "BENCHMARK", create=True).add_new(0x01, "LO", name)
    item = Dataset()
    item.TextValue = name
    dataset.AcquisitionContextSequence = [item]
    out.mkdir(parents=True)
    dataset.save_as(out / "planted.dcm")
    return [each.decode() for each in words(dataset)]


def small(out: Path) -> None:
    """Write one small file."""
    out.mkdir(parents=True)
    instance().save_as(out / "one.dcm", enforce_file_format=True)


if __name__ == "__main__":
    if sys.argv[1] == "small":
        small(Path(sys.argv[2]))
    elif sys.argv[1] == "plant":
        print(json.dumps(plant(Path(sys.argv[2]), Path(sys.argv[3]))))
    else:
        print(json.dumps(look(Path(sys.argv[1]), Path(sys.argv[2]))))
