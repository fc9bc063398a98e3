"""Scripts by the raw verbs of unmodified xnatpy and pyxnat, and by what curl sends, against the real server."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services import scripts
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.web.conftest import PASSWORD

pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]
SCRIPT = 'version "6.3"\n(0010,0010) := "Müller"\n'
BROKEN = 'version "6.3"\n(0010,0010 := subject\n'
SITE = "/xapi/anonymize/site"
PROJECT = "/xapi/anonymize/projects/P1"


def test_xnatpy_reads_writes_and_switches(xnat: Any, url: str, site: Site, tmp_path: Path) -> None:
    path = tmp_path / "script.das"
    path.write_text(SCRIPT, encoding="utf-8")
    with xnat.connect(url, user="admin", password=PASSWORD, no_parse_model=True) as session:
        assert session.get("/xapi/anonymize/default").text == DEFAULT_SITE_SCRIPT
        assert session.get(PROJECT, accepted_status=[204]).text == ""
        text = {"headers": {"Content-Type": "text/plain"}}
        with path.open("rb") as sent, path.open("rb") as attached:
            for options in (
                {"data": SCRIPT.encode(), **text},
                {"data": SCRIPT.encode()},
                {"json": SCRIPT},
                {"files": {"file": attached}},
                {"data": sent},
            ):
                session.put(PROJECT, data="", **text)
                session.put(PROJECT, **options)
                assert session.get(PROJECT).text == SCRIPT, options
        session.put(SITE, data=SCRIPT.encode(), **text)
        assert session.get(SITE).text == SCRIPT
        assert session.get_json(f"{SITE}/enabled") is True
        switched = session.put(
            f"{SITE}/enabled", query={"enable": "false"}, headers={"Content-Type": "application/json"}
        )
        assert (switched.json(), session.get_json(f"{SITE}/enabled")) == (False, False)
        session.put("/data/projects/P1/config/anon/projects/P1", query={"status": "disabled"})
        row = session.get_json("/data/projects/P1/config/anon/script")["ResultSet"]["Result"][0]
        assert (row["status"], row["contents"]) == ("disabled", SCRIPT)
        with pytest.raises(xnat.exceptions.XNATResponseError, match="status 400") as caught:
            session.put(SITE, data=BROKEN, **text)
    assert "<h3>The anonymization script does not compile: line 2, column 1:" in caught.value.text
    assert "(0010,0010 := subject\n^</pre>" in caught.value.text
    stored = scripts.active_script(site, None)
    assert stored is not None
    assert stored.text == SCRIPT


def test_xnatpy_may_do_no_more_than_its_user(xnat: Any, url: str) -> None:
    with xnat.connect(url, user="bob", password=PASSWORD, no_parse_model=True) as session:
        for address, status in ((PROJECT, 404), (SITE, 403)):
            with pytest.raises(xnat.exceptions.XNATResponseError, match=f"status {status}"):
                session.put(address, data=SCRIPT.encode())


def test_pyxnat_reads_writes_and_switches(url: str, site: Site) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyxnat import Interface
    central = Interface(server=url, user="ada", password=PASSWORD)
    headers = {"Content-Type": "text/plain"}
    for options in ({"data": SCRIPT.encode(), "headers": headers}, {"data": SCRIPT.encode()}, {"json": SCRIPT}):
        assert central.put(PROJECT, data=b"", headers=headers).status_code == 200
        assert central.get(PROJECT).status_code == 204
        assert central.put(PROJECT, **options).status_code == 200
        assert central.get(PROJECT).text == SCRIPT
    assert central.put(f"{PROJECT}/enabled?enable=false").json() is False
    assert central.get(f"{PROJECT}/enabled").json() is False
    assert central.put(f"{PROJECT}/enabled").json() is True
    assert central.put(SITE, data=SCRIPT.encode()).status_code == 403
    assert central.put(PROJECT, data=BROKEN, headers=headers).status_code == 400
    assert central.get(PROJECT).text == SCRIPT


def test_a_body_in_chunks_and_one_too_large_over_a_real_connection(url: str) -> None:
    with httpx.Client(base_url=url, auth=("ada", PASSWORD)) as client:
        pieces = (SCRIPT.encode()[at : at + 5] for at in range(0, 100, 5))
        assert client.put(PROJECT, content=pieces).status_code == 200
        assert client.get(PROJECT).text == SCRIPT
        response = client.put(PROJECT, content=b"x" * (2 << 20))
        assert (response.status_code, response.headers["X-Inbox-Reason"]) == (413, "body_too_large")
