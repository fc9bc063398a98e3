"""What monitors and logs see: health, readiness, metrics, faults without values."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import StreamingResponse

from inbox_pipeline.intake.reasons import REASONS
from inbox_pipeline.observability import JsonFormatter, configure_logging
from inbox_pipeline.services import health
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.app import create_app
from inbox_pipeline.web.exchange import ResponseBroken
from inbox_pipeline_tests.web.conftest import Client

CANARY = "Mueller^Anna"
PASSWORD = "correct horse"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The process's log as `configure_logging` sets it up, undone afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    before = (list(root.handlers), root.level)
    configure_logging(stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(False)


def _lines(stream: io.StringIO, logger: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, stream.getvalue().splitlines()) if line["logger"] == logger]


def _faulty(site: Site) -> Any:
    """An application with two more routes, which fail with a message that must not be seen."""
    app = create_app(site)
    router = APIRouter()

    @router.get("/fault/{name}")
    def fault(name: str) -> None:
        raise ValueError(name)

    @router.get("/late/{name}")
    def late(name: str) -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            yield b"first piece"
            raise ValueError(name)

        return StreamingResponse(pieces())

    app.include_router(router)
    return app


def test_the_first_page_needs_nobody_and_loads_nothing(stranger: Any) -> None:
    response = stranger("GET", "/")
    assert (response.status_code, response.is_redirect) == (200, False)
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|<link|<img|https?://", response.text)
    assert not response.text.startswith("<html>")
    for link in re.findall(r'href="([^"]+)"', response.text):
        assert stranger("GET", link).status_code in {200, 401, 503}


@pytest.mark.parametrize("code", sorted({code for _, code in REASONS}))
def test_every_reason_has_a_page(stranger: Any, code: str) -> None:
    assert code in stranger("GET", f"/help/errors/{code}").text


def test_an_unknown_reason_has_none(stranger: Any) -> None:
    assert stranger("GET", "/help/errors/nothing").status_code == 404


def test_readiness_follows_the_heartbeats_and_the_archive(stranger: Any, site: Site) -> None:
    assert stranger("GET", "/healthz").json() == {"status": "ok"}
    response = stranger("GET", "/readyz")
    assert (response.status_code, set(response.json()["failing"])) == (503, {"daemon", "worker"})
    health.beat(site, "daemon")
    health.beat(site, "worker:1")
    assert (stranger("GET", "/readyz").status_code, stranger("HEAD", "/readyz").status_code) == (200, 200)
    shutil.rmtree(site.settings.archive_path)
    assert set(stranger("GET", "/readyz").json()["failing"]) == {"archive"}
    site.settings.archive_path.mkdir()


def test_without_its_catalog_the_server_says_so(tmp_path: Path, site: Site) -> None:
    broken = Site(site.settings.model_copy(), type(site.catalog)(f"sqlite:///{tmp_path}/no/such.db"), site.secret)
    client = Client(create_app(broken), ("ada", PASSWORD), address="127.0.0.1")
    assert set(client("GET", "/readyz").json()["failing"]) == {"catalog", "daemon", "worker"}
    response = client("GET", "/data/auth")
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (503, "catalog_unavailable")
    assert response.headers["Retry-After"] == "5"
    assert "inbox_pipeline_catalog_up 0.0" in client("GET", "/metrics").text


def test_metrics_are_for_this_machine_and_for_administrators(app: Any, ada: Any, admin: Any, stranger: Any) -> None:
    near = Client(app, address="127.0.0.1")
    assert near("GET", "/metrics").status_code == 200
    assert near("GET", "/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
    assert stranger("GET", "/metrics").status_code == 401
    assert ada("GET", "/metrics").status_code == 403
    assert admin("GET", "/metrics").status_code == 200


def test_metrics_count_requests_files_and_exchanges_by_template(site: Site, folder: Path) -> None:
    app = create_app(site)
    ada = Client(app, ("ada", PASSWORD))
    ada("POST", "/api/v1/requests", json={"path": str(folder), "project": "P1", "SUBJECT_ID": "Canary1"})
    ada("GET", f"/xapi/dicom/{CANARY}")
    ada("GET", f"/data/archive/projects/{CANARY}/subjects/{CANARY}/experiments")
    text = Client(app, address="::1")("GET", "/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    statuses = {sample.labels["status"]: sample.value for sample in families["inbox_pipeline_requests"].samples}
    assert statuses["Queued"] >= 1
    routes = {sample.labels["route"] for sample in families["inbox_pipeline_http_requests"].samples}
    below = "/data/archive/projects/{project_id}/subjects/{subject_id}/experiments"
    assert {"/api/v1/requests", "/xapi/dicom/{request_id}", below} <= routes
    assert not re.search(f"Mueller|Canary1|{re.escape(str(folder))}|ada", text)


def test_the_access_log_has_one_line_without_values(ada: Any, site: Site, log: io.StringIO) -> None:
    path = f"{site.settings.inbox_path}/P1/{CANARY}"
    response = ada("POST", "/data/services/import", params={"import-handler": "inbox", "path": path})
    ada("GET", f"/{CANARY}")
    ada("BREW", f"/data/{CANARY}")
    first, second, third = _lines(log, "inbox_pipeline.access")
    assert set(first) == {"at", "level", "logger", "message", "method", "route", "status", "ms", "request_id"}
    assert (first["method"], first["route"], first["status"]) == ("POST", "/data/services/import", 400)
    assert first["request_id"] == response.headers["X-Request-Id"]
    assert (second["route"], second["status"]) == ("(none)", 404)
    assert third["method"] == "OTHER"
    assert CANARY not in log.getvalue()
    assert "ada" not in log.getvalue()


def test_a_fault_shows_its_id_and_hides_its_message(site: Site, log: io.StringIO) -> None:
    client = Client(_faulty(site))
    response = client("GET", f"/fault/{CANARY}", headers={"Accept": "application/problem+json"})
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert response.headers["X-Request-Id"] in response.json()["hint"]
    assert CANARY not in response.text
    (line,) = _lines(log, "inbox_pipeline.web")
    assert line["exception"]["class"] == "builtins.ValueError"
    assert re.fullmatch(r"inbox_pipeline_tests\.web\.test_web_operations:\d+", line["exception"]["at"])
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert CANARY not in log.getvalue()


def test_a_fault_in_the_middle_of_an_answer_breaks_the_connection(site: Site, log: io.StringIO) -> None:
    with pytest.raises(ResponseBroken):
        Client(_faulty(site))("GET", f"/late/{CANARY}")
    assert _lines(log, "inbox_pipeline.access")[0]["status"] == 500
    assert CANARY not in log.getvalue()


def test_messages_of_libraries_are_withheld(log: io.StringIO) -> None:
    logging.getLogger("pydicom").warning("Invalid value %s", CANARY)
    logging.getLogger("some.library").error(f"It is {CANARY}")
    logging.getLogger("some.library").info("chatter")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(CANARY, stacklevel=1)
    try:
        raise KeyError(CANARY)
    except KeyError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    assert CANARY not in log.getvalue()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["logger"] for line in lines] == ["some.library", "uvicorn.error", "uvicorn.error"]
    assert lines[0]["message"].startswith("(message withheld, test_web_operations line ")
    assert lines[1]["exception"]["class"] == "builtins.KeyError"
    assert lines[2]["message"] == "Started server process [7]"


def test_a_chain_of_exceptions_is_not_followed() -> None:
    record = logging.LogRecord("inbox_pipeline.x", logging.ERROR, __file__, 1, "m", None, None)
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as inner:
            raise RuntimeError(CANARY) from inner
    except RuntimeError as error:
        record.exc_info = (RuntimeError, error, error.__traceback__)
    assert CANARY not in JsonFormatter().format(record)
