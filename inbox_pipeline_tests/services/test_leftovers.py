"""What a dead process leaves in staging goes once its request has ended, and not before."""

from __future__ import annotations

import pytest

from inbox_pipeline.services import requests, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.leftovers import remove_leftovers
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.importing import file, imported


def test_only_what_ended_requests_left_goes(site: Site, admin: Account) -> None:
    staging = site.settings.staging_path
    ended = imported(site, admin, session_folder(site.settings.inbox_path / "P" / "a"))["id"]
    running = file(site, admin, session_folder(site.settings.inbox_path / "P" / "b", study=2))
    steps.run_step(site, running, "anonymize", run_id="run")
    (mine,) = staging.iterdir()
    former = staging / f"{ended}.aa" / "former1" / "SCANS"
    former.mkdir(parents=True)
    (staging / f"gone.{ended}.bb" / "s1").mkdir(parents=True)
    (staging / "gone.99.cc").mkdir()
    (staging / "note.txt").write_text("not ours")
    assert remove_leftovers(site) == [ended, 99]
    assert set(staging.iterdir()) == {mine, staging / "note.txt"}
    assert [next(iter(path.iterdir())).name for path in site.settings.trash_path.iterdir()] == ["SCANS"]
    requests.cancel(site, admin, running)
    assert remove_leftovers(site) == []


def test_a_generation_that_the_trash_does_not_take_waits_in_staging(site: Site, admin: Account) -> None:
    inbox, trash = site.settings.inbox_path / "P", site.settings.trash_path
    imported(site, admin, session_folder(inbox / "first"))
    trash.rmdir()
    trash.write_text("a file where the trash should be")
    answer = imported(site, admin, session_folder(inbox / "late", files=5), overwrite="append")
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    assert len(list(site.settings.archive_path.rglob("*.dcm"))) == 5
    with pytest.raises(OSError):
        remove_leftovers(site)
    trash.unlink()
    trash.mkdir()
    assert remove_leftovers(site) == [answer["id"]]
    assert len(list(trash.rglob("*.dcm"))) == 3
    assert list(site.settings.staging_path.iterdir()) == []
    assert verify(site).differences == []
