"""One other tool over a list of files: FILES holds a path a line; the nth becomes OUT/nnnnn.dcm.

Usage: _peer.py TOOL FILES OUT

Runs with the interpreter that has the tool, which need not have this project. Each tool is used as its own pages show,
with its default profile; what it cannot do is printed and left out, and the caller counts the files.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

Work = Callable[[str, str], None]
DCMODIFY_FILES = 500
DCMODIFY = (
    *("-nb", "-gst", "-gse", "-gin", "-imt"),
    *("-m", "(0010,0010)=ANON", "-m", "(0010,0020)=ANON"),
    *("-ea", "(0008,0050)", "-ea", "(0008,0080)", "-ea", "(0008,0081)", "-ea", "(0008,0090)", "-ea", "(0008,1010)"),
    *("-ea", "(0008,1048)", "-ea", "(0008,1050)", "-ea", "(0008,1070)", "-ea", "(0010,0030)", "-ea", "(0010,1000)"),
    *("-ea", "(0010,1040)", "-ea", "(0010,2154)", "-ea", "(0010,4000)", "-ea", "(0018,1000)", "-ea", "(0040,0253)"),
)
"""New UIDs, a name and an id, and the elements that name people and places; DCMTK has no profile of its own."""


def pydicom() -> Work:
    """Read and write, with no edit."""
    from pydicom import dcmread

    return lambda source, target: dcmread(source).save_as(target)


def dicognito() -> Work:
    """Its Anonymizer with defaults."""
    from dicognito.anonymizer import Anonymizer
    from pydicom import dcmread

    anonymizer = Anonymizer(seed="benchmark")

    def work(source: str, target: str) -> None:
        with dcmread(source, force=False) as dataset:
            anonymizer.anonymize(dataset)
            dataset.save_as(target, enforce_file_format=True)

    return work


def dicom_anonymizer() -> Work:
    """Its function for one file."""
    from dicomanonymizer import anonymize_dicom_file

    return anonymize_dicom_file


def dcm_anonymizer() -> Work:
    """Its function for one file, with one mapper of UIDs."""
    from dcm_anon import UIDMapper, anonymize_file

    mapper = UIDMapper(salt="benchmark")
    return lambda source, target: anonymize_file(Path(source), Path(target), mapper)


def deid() -> Work:
    """Its two steps, get and put, with the recipe that it brings along; private tags removed."""
    from deid.config import DeidRecipe
    from deid.dicom import get_identifiers, replace_identifiers

    recipe, folder = DeidRecipe(), Path(tempfile.mkdtemp())

    def work(source: str, target: str) -> None:
        ids = get_identifiers([source])
        given = {"ids": ids, "deid": recipe, "save": True, "output_folder": str(folder), "overwrite": True}
        replace_identifiers([source], **given, remove_private=True)
        (folder / Path(source).name).rename(target)

    return work


def dcmanon() -> Work:
    """Its Anonymizer with defaults."""
    from dcmanon import Anonymizer

    anonymizer = Anonymizer()
    return lambda source, target: Path(target).write_bytes(anonymizer.anonymize(source))


def dcmodify(sources: list[str], targets: list[str]) -> None:
    """Copy, then edit the copies in place, many in one call."""
    for source, target in zip(sources, targets, strict=True):
        shutil.copyfile(source, target)
    for start in range(0, len(targets), DCMODIFY_FILES):
        subprocess.run(["dcmodify", *DCMODIFY, *targets[start : start + DCMODIFY_FILES]], check=False)


def every(work: Work, sources: list[str], targets: list[str]) -> None:
    """Work on every file; the first fault is shown, the number of all at the end."""
    faults = 0
    for source, target in zip(sources, targets, strict=True):
        try:
            work(source, target)
        except (Exception, SystemExit):  # noqa: BLE001 - peers end in many ways, and the next file is to be tried
            Path(target).unlink(missing_ok=True)
            faults += 1
            if faults == 1:
                traceback.print_exc()
    if faults:
        print(f"{faults} of {len(sources)} files failed", file=sys.stderr)


TOOLS: dict[str, Callable[[], Work]] = {
    "pydicom": pydicom,
    "dicognito": dicognito,
    "dicom-anonymizer": dicom_anonymizer,
    "dcm-anonymizer": dcm_anonymizer,
    "deid": deid,
    "dcmanon": dcmanon,
}


def main(tool: str, listed: str, out: str) -> None:
    """Run one tool."""
    warnings.simplefilter("ignore")
    lines = [line.split("\t") for line in Path(listed).read_text().splitlines()]
    sources, targets = [source for _, source in lines], [f"{out}/{number}.dcm" for number, _ in lines]
    Path(out).mkdir(parents=True, exist_ok=True)
    if tool == "dcmodify":
        dcmodify(sources, targets)
    else:
        every(TOOLS[tool](), sources, targets)


if __name__ == "__main__":
    main(*sys.argv[1:])
