"""Unmodified xnatpy against the real server: connect in its three ways, log in in its two, import, poll."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline.services import accounts
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.steps import STEPS, run_step

pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]
PASSWORD = "correct horse"


@pytest.mark.parametrize("options", [{}, {"extension_types": False}, {"no_parse_model": True}])
def test_connect_import_and_poll(xnat: Any, url: str, site: Site, folder: Path, options: dict[str, bool]) -> None:
    with xnat.connect(url, user="ada", password=PASSWORD, **options) as session:
        assert session.xnat_version == "1.9.1"
        filed = session.services.import_dicom_inbox(
            str(folder), cleanup=False, project="P1", subject="S1", experiment=f"E{len(options)}"
        )
        assert filed.status == "Queued"
        assert (filed.username, filed.session_path, filed.enabled) == ("ada", str(folder), True)
        number = int(filed.uri.rpartition("/")[2])
        for step in STEPS:
            run_step(site, number, step, run_id=f"run-{number}")
        assert filed.status == "Failed"
        session_id = session.interface.cookies["JSESSIONID"]
        assert accounts.session_account(site, session_id) is not None
    assert accounts.session_account(site, session_id) is None


def test_its_keepalive_reads_our_cookie(xnat: Any, url: str) -> None:
    with xnat.connect(url, user="ada", password=PASSWORD, no_parse_model=True) as session:
        session.heartbeat()
        expires, interval = session.session_expiration_time
        assert interval == 900
        assert expires is not None


def test_login_with_an_alias_token(xnat: Any, url: str, site: Site) -> None:
    account = accounts.get_account(site, "ada")
    assert account is not None
    token = accounts.issue_token(site, account)
    with xnat.connect(url, user=token["alias"], password=token["secret"], no_parse_model=True) as session:
        assert session.logged_in_user == "ada"


def test_a_wrong_password_shows_our_sentence(xnat: Any, url: str) -> None:
    with pytest.raises(xnat.exceptions.XNATLoginFailedError, match="The user name or the password is wrong"):
        xnat.connect(url, user="ada", password="wrong horse", no_parse_model=True)


def test_a_refused_import_carries_our_sentence(xnat: Any, url: str, site: Site) -> None:
    outside = str(site.settings.home)
    with (
        xnat.connect(url, user="ada", password=PASSWORD, no_parse_model=True) as session,
        pytest.raises(xnat.exceptions.XNATResponseError, match="status 400") as caught,
    ):
        session.services.import_dicom_inbox(outside, project="P1", subject="S1", experiment="E1")
    assert "<h3>The path does not lie under the inbox.</h3>" in caught.value.text
