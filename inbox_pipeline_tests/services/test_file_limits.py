"""What one file may take of time and memory: each bound is reached, told by its reason, and the rest goes on."""

from __future__ import annotations

import os
import resource
import struct
from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline.dicom import window
from inbox_pipeline.dicom.elements import MOST_ELEMENTS
from inbox_pipeline.services import requests, rewriting, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import inbox
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.importing import file, imported, ledger

PIXELS = b"\xe0\x7f\x10\x00"
MEBIBYTE = 1 << 20


@pytest.fixture
def folder(site: Site) -> Path:
    return session_folder(site.settings.inbox_path / "P" / "visit")


def with_elements(path: Path, inserted: bytes) -> Path:
    """Put encoded elements before the pixel data of an instance that is not in the session yet."""
    data = save(instance(number=9), path).read_bytes()
    at = data.rindex(PIXELS)
    path.write_bytes(data[:at] + inserted + data[at:])
    return path


def private(number: int, value: bytes = b"", vr: bytes = b"OB") -> bytes:
    return struct.pack("<HH", 0x0029, number) + vr + b"\0\0" + struct.pack("<I", len(value)) + value


def reasons(site: Site, admin: Account, folder: Path, **parameters: Any) -> dict[str, str]:
    answer = imported(site, admin, folder, **parameters)
    return {name: row["reason"] for name, row in ledger(site, admin, answer["id"]).items()}


def test_too_many_elements_hold_a_file(site: Site, admin: Account, folder: Path) -> None:
    with_elements(folder / "many.dcm", private(0x1001) * MOST_ELEMENTS)
    with_elements(folder / "few.dcm", private(0x1001) * 100)
    found = reasons(site, admin, folder)
    assert (found["many.dcm"], found["few.dcm"], found["s1-1.dcm"]) == ("over_limits", "archived", "archived")


def test_a_value_that_is_too_long_to_be_searched_holds_a_file(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inbox_pipeline.dicom.headers.PART_LIMIT", MEBIBYTE)
    with_elements(folder / "long.dcm", private(0x1001, bytes(2 * MEBIBYTE)))
    found = reasons(site, admin, folder)
    assert (found["long.dcm"], found["s1-1.dcm"]) == ("over_limits", "archived")


def test_an_unusual_file_that_is_too_large_to_be_read_as_a_whole_is_held(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "WHOLE_LIMIT", MEBIBYTE)
    unusual = with_elements(folder / "unusual.dcm", private(0x1001, bytes(2 * MEBIBYTE)))
    with unusual.open("ab") as stream:
        stream.write(struct.pack("<HH", 0x0008, 0x0005) + b"CS\0\0")
    found = reasons(site, admin, folder)
    assert (found["unusual.dcm"], found["s1-1.dcm"]) == ("over_limits", "archived")


@pytest.mark.parametrize("step", [0, 2], ids=["while it is scanned", "while it is rewritten"])
def test_what_takes_too_long_is_held_and_the_rest_goes_on(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    slow, opened = (folder / "s1-2.dcm").stat().st_ino, inbox.timed
    request_id = file(site, admin, folder)

    def timed(handle: int, mode: str = "rb") -> Any:
        stream: Any = opened(handle, mode)
        stream._began -= 1000 * (os.fstat(handle).st_ino == slow)
        return stream

    for number, name in enumerate(steps.STEPS):
        monkeypatch.setattr(inbox, "timed", timed if number == step else opened)
        steps.run_step(site, request_id, name, run_id="run-1")
    rows = ledger(site, admin, request_id)
    assert {name: (row["disposition"], row["reason"]) for name, row in rows.items()} == {
        "s1-1.dcm": ("archived", "archived"),
        "s1-2.dcm": ("held", "took_too_long"),
        "s1-3.dcm": ("archived", "archived"),
    }
    assert requests.request_json(site, request_id, admin)["outcome"] == "partial"


def test_a_large_file_may_take_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 100 * inbox.SLOWEST)
    with inbox.InboxFolder(os.fsencode(tmp_path)) as opened, opened.open(b"large") as stream:
        stream._began -= inbox.MOST_SECONDS + 90  # type: ignore[attr-defined]
        assert stream.read(1)
        stream._began -= 20  # type: ignore[attr-defined]
        with pytest.raises(inbox.NotOpened):
            stream.read(1)


def test_a_change_that_the_modification_time_does_not_tell_is_seen(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, work = folder / "s1-2.dcm", rewriting.rewritten
    future = path.stat().st_mtime_ns + 10**12
    os.utime(path, ns=(future, future))

    def changed(stream: Any, *arguments: Any, **options: Any) -> Any:
        result = work(stream, *arguments, **options)
        if os.fstat(stream.fileno()).st_ino == path.stat().st_ino:
            path.write_bytes(path.read_bytes()[:-2] + b"zz")
            os.utime(path, ns=(future, future))
        return result

    monkeypatch.setattr(rewriting, "rewritten", changed)
    found = reasons(site, admin, folder)
    assert found == {"s1-1.dcm": "archived", "s1-2.dcm": "source_changed", "s1-3.dcm": "archived"}


def test_length_claims_and_depth_cost_no_memory(site: Site, admin: Account, folder: Path) -> None:
    claim = struct.pack("<HH", 0x0029, 0x1001) + b"UN\0\0" + struct.pack("<I", 0xFFFFFFF0)
    with_elements(folder / "claim.dcm", claim + b"ab")
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    nested = (struct.pack("<HH", 0x0040, 0xA730) + b"SQ\0\0" + struct.pack("<I", 0xFFFFFFFF) + item) * 10_000
    with_elements(folder / "deep.dcm", nested)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = reasons(site, admin, folder)
    assert (found["claim.dcm"], found["deep.dcm"], found["s1-1.dcm"]) == ("truncated", "unparsable", "archived")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
