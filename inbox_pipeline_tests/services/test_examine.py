"""What one file is, from its header: which UIDs will do, and what an instance without a class becomes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline.services.examine import Asked, examine, open_folder
from inbox_pipeline.services.policies import PolicyChoice, pseudonyms_of
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.store.secret import Secret
from inbox_pipeline_tests.data_for_tests import instance, save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID")


def reason_of(folder: Path, profile: Profile | None = None, **values: Any) -> str:
    save(instance(**values), folder / "1.dcm")
    with open_folder(os.fsencode(folder)) as opened:
        (entry,) = opened.walk()
        return str(examine(opened, entry, Asked(None, None, Secret(bytes(32)), profile))["reason"])


@pytest.mark.parametrize("keyword", UIDS)
@pytest.mark.parametrize(
    "text", ["1.2.letters", "../../x", "/etc/passwd", "1.2\\1.3", "1.2\n3", ".1.2", ".", "1 2", "1" * 65]
)
def test_what_is_no_uid_is_rejected(tmp_path: Path, keyword: str, text: str) -> None:
    assert reason_of(tmp_path, **{keyword: text}) == "uid_invalid"


@pytest.mark.parametrize("text", ["1.02.3", "1.2.", "1..2", "0", "1" * 64])
def test_uids_that_only_break_the_letter_of_the_standard_are_taken(tmp_path: Path, text: str) -> None:
    assert reason_of(tmp_path, SOPInstanceUID=text) == "waiting"


@pytest.mark.parametrize("text", ["0aF" * 20, "ad111191-79e4-4892-9b91-2f84967a4b23"])
def test_digests_and_uuids_in_the_place_of_uids_are_left_to_scripts(tmp_path: Path, text: str) -> None:
    assert reason_of(tmp_path, SOPInstanceUID=text) == "waiting"
    assert reason_of(tmp_path, SOPClassUID=text) == "uid_invalid"


def test_a_transfer_syntax_that_is_no_uid_is_rejected(tmp_path: Path) -> None:
    path = save(instance(), tmp_path / "1.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"../../etc/passwd\0\0\0\0"))
    with open_folder(os.fsencode(tmp_path)) as opened:
        (entry,) = opened.walk()
        assert examine(opened, entry, Asked(None, None, Secret(bytes(32))))["reason"] == "uid_invalid"


def test_a_blanked_class_is_the_one_that_the_frame_names(tmp_path: Path) -> None:
    assert reason_of(tmp_path, SOPClassUID="") == "waiting"
    assert reason_of(tmp_path, SOPClassUID=None) == "missing_uid"


def test_a_file_that_is_to_be_cleaned_must_have_its_class_itself(tmp_path: Path) -> None:
    profile = Profile(PolicyChoice("basic"), pseudonyms_of(Secret(bytes(32)), "P"))
    assert reason_of(tmp_path, profile, SOPClassUID="") == "missing_uid"
