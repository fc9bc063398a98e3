"""`script pull` between two real web processes, and from a stand-in for an XNAT under a context path."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services import accounts, projects, scripts
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import schema
from inbox_pipeline.store.catalog import scripts as script_store
from inbox_pipeline_tests.cli.conftest import Run
from inbox_pipeline_tests.server_for_tests import web_process

pytestmark = pytest.mark.services
PASSWORD = "a good password"
THERE = "another password"
SCRIPT = 'version "6.3"\r\n(0010,0010) := "Müller"\r\n'
OTHER = 'version "6.3"\n(0010,0020) := session\n'
BROKEN = 'version "6.3"\n(0010,0010 := subject\n'


@pytest.fixture
def target(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The site that scripts are copied to, served, with its administrator in the environment."""
    with web_process(site.settings.home) as url:
        for name, value in (("URL", url), ("USER", "admin"), ("PASSWORD", PASSWORD), ("PULL_PASSWORD", THERE)):
            monkeypatch.setenv(f"INBOX_PIPELINE_{name}", value)
        yield site


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Site]:
    made = init_site(read_settings({}, home=tmp_path / "source"))
    accounts.create_user(made, "system", "root", THERE, admin=True)
    for project in ("P", "Q", "R", "S"):
        projects.create_project(made, "root", project)
    scripts.store_script(made, "root", SCRIPT)
    scripts.store_script(made, "root", OTHER, "P")
    scripts.set_enabled(made, "root", False, "P")
    with made.catalog.write() as connection:
        script_store.add_version(connection, "Q", BROKEN, "root")
    scripts.store_script(made, "root", OTHER, "R")
    yield made
    made.catalog.dispose()


@pytest.fixture
def url(source: Site) -> Iterator[str]:
    with web_process(source.settings.home) as address:
        yield address


def rows(site: Site) -> list[Any]:
    """Everything that a pull could change."""
    with site.catalog.read() as connection:
        tables = (schema.scripts, schema.projects, schema.site, schema.audit)
        return [tuple(row) for table in tables for row in connection.execute(sa.select(table))]


def stored(site: Site, project: str | None) -> tuple[str, bool] | None:
    script = scripts.active_script(site, project)
    return None if script is None else (script.text, script.enabled)


def test_scripts_and_switches_are_copied_and_the_rest_is_told(run: Run, target: Site, source: Site, url: str) -> None:
    before = rows(source)
    for project in ("Q", "S"):
        projects.create_project(target, "root", project)
    named = [argument for project in "PQRSX" for argument in ("--project", project)]
    done = run("script", "pull", "--from", url, "--user", "root", *named)
    assert done.exit_code == 3
    assert stored(target, None) == (SCRIPT, True)
    assert stored(target, "P") == (OTHER, False)
    assert stored(target, "Q") is None
    assert done.stdout.splitlines() == [
        "site: copied, switched on",
        "project P: copied, switched off",
        "project S: none",
    ]
    invalid, skipped, refused = done.stderr.splitlines()
    assert invalid.startswith("project Q: invalid at line 2, column 1: ")
    assert skipped.startswith("project R: skipped, switched on: The project does not exist here")
    assert skipped.endswith("`inbox-pipeline project create R`.")
    assert refused == "project X: refused: At --from: There is no such project. Check the project's ID."
    assert rows(source) == before
    assert THERE not in done.output
    assert PASSWORD not in done.output


def test_a_second_time_nothing_changes_and_all_is_well(run: Run, target: Site, url: str) -> None:
    order = ("script", "pull", "--from", f"{url}/", "--user", "root", "--project", "P", "--project", "P", "--json")
    first = run(*order)
    assert first.exit_code == 0, first.output
    assert [row["status"] for row in json.loads(first.stdout)["scripts"]] == ["copied", "copied"]
    before = rows(target)
    second = json.loads(run(*order).stdout)
    assert (second["from"], second["dry_run"]) == (url, False)
    assert [(row["project"], row["status"], row["enabled"]) for row in second["scripts"]] == [
        (None, "unchanged", True),
        ("P", "unchanged", False),
    ]
    assert rows(target) == before


def test_a_dry_run_changes_nothing(run: Run, target: Site, url: str) -> None:
    before = rows(target)
    done = run("script", "pull", "--from", url, "--user", "root", "--project", "P", "--project", "Q", "--dry-run")
    assert done.exit_code == 3
    assert done.stdout.splitlines() == ["site: to copy, switched on", "project P: to copy, switched off"]
    assert "project Q: invalid at line 2" in done.stderr
    assert rows(target) == before
    assert stored(target, None) == (DEFAULT_SITE_SCRIPT, True)


def test_nothing_that_could_be_copied_is_seven(run: Run, target: Site, source: Site, url: str) -> None:
    with source.catalog.write() as connection:
        script_store.add_version(connection, None, BROKEN, "root")
    before = rows(target)
    done = run("script", "pull", "--from", url, "--user", "root", "--project", "Q", "--json")
    assert done.exit_code == 7
    found = json.loads(done.stdout)["scripts"]
    assert [(row["status"], row["line"], row["column"]) for row in found] == [("invalid", 2, 1)] * 2
    assert rows(target) == before


def test_a_wrong_password_on_either_side_is_six_and_never_shown(
    run: Run, target: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ("script", "pull", "--from", url, "--password-stdin")
    done = run(*order, "--user", "root", stdin="hunter2\n")
    assert (done.exit_code, "hunter2" in done.output) == (6, False)
    assert done.stderr.startswith("error: At --from: The user name or the password is wrong")
    monkeypatch.setenv("INBOX_PIPELINE_PULL_USER", "root")
    assert run(*order, stdin=f"{THERE}\n").exit_code == 0
    monkeypatch.setenv("INBOX_PIPELINE_PASSWORD", "hunter2")
    done = run(*order, stdin=f"{THERE}\n")
    assert (done.exit_code, "hunter2" in done.output, "--from" in done.output) == (6, False, False)


def test_one_who_may_not_change_scripts_here_is_told_so(
    run: Run, target: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.create_user(target, "system", "ann", PASSWORD)
    monkeypatch.setenv("INBOX_PIPELINE_USER", "ann")
    done = run("script", "pull", "--from", url, "--user", "root")
    assert done.exit_code == 6
    assert done.stderr == "site: refused: You may not do that. Ask the project's owner or an administrator.\n"
    projects.set_member(target, "root", "P", "ann", "owner")
    assert run("script", "pull", "--from", url, "--user", "root", "--project", "P").exit_code == 3
    assert stored(target, "P") == (OTHER, False)


def test_no_server_there_is_six(run: Run, target: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    done = run("script", "pull", "--from", f"http://127.0.0.1:{port}", "--user", "root")
    assert done.exit_code == 6
    assert "Check that --from names the right server." in done.stderr


@pytest.mark.parametrize(
    "address", ["xnat.example.org", "ftp://x", "http://", "http://root:hunter2@x", "http://x?a=b", "http://[x", ""]
)
def test_an_address_that_is_none_or_holds_a_password_is_wrong_usage(run: Run, address: str) -> None:
    done = run("script", "pull", "--from", address, "--user", "root")
    assert (done.exit_code, "hunter2" in done.output) == (2, False)


def test_a_login_is_asked_for(run: Run) -> None:
    assert run("script", "pull", "--from", "http://127.0.0.1:9").exit_code == 2


ANSWERS = {
    "/xnat/data/projects?format=json&columns=ID": (
        "application/json",
        json.dumps({"ResultSet": {"Result": [{"ID": "P"}, {"ID": "Q"}], "totalRecords": "2"}}),
    ),
    "/xnat/xapi/anonymize/site": ("text/plain;charset=ISO-8859-1", SCRIPT),
    "/xnat/xapi/anonymize/site/enabled": ("application/json", "true"),
    "/xnat/xapi/anonymize/projects/P": ("text/plain;charset=UTF-8", "\ufeff" + OTHER),
    "/xnat/xapi/anonymize/projects/P/enabled": ("application/json;charset=UTF-8", "false"),
    "/xnat/xapi/anonymize/projects/Q": ("text/html", "<html>log in</html>"),
}


class Xnat(BaseHTTPRequestHandler):
    """Answers as an XNAT under `/xnat` does, takes nothing but GET, and remembers what it was asked."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        good = self.headers["authorization"] == "Basic " + base64.b64encode(f"root:{THERE}".encode()).decode()
        kind, body = ANSWERS.get(self.path, ("text/html", "<h3>Nothing here</h3>"))
        content = body.encode("latin-1" if "8859" in kind else "utf-8")
        self.send_response(401 if not good else 200 if self.path in ANSWERS else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[int]:
    """Serve the stand-in and give its port, with TLS when there is a certificate."""
    Xnat.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Xnat)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def self_signed(path: Path) -> Path:
    """Write a certificate for 127.0.0.1 that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = made.add_extension(host, critical=False).sign(key, hashes.SHA256())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    return path


@pytest.fixture
def xnat() -> Iterator[str]:
    with serving() as port:
        yield f"http://127.0.0.1:{port}/xnat"


def test_a_certificate_nobody_vouches_for_is_refused_unless_asked_otherwise(
    run: Run, target: Site, tmp_path: Path
) -> None:
    with serving(self_signed(tmp_path / "server.pem")) as port:
        order = ("script", "pull", "--from", f"https://127.0.0.1:{port}/xnat", "--user", "root")
        assert run(*order).exit_code == 6
        assert Xnat.seen == []
        assert run(*order, "--insecure").exit_code == 0
    assert stored(target, None) == (SCRIPT, True)


def test_all_projects_of_an_xnat(run: Run, target: Site, xnat: str) -> None:
    done = run("script", "pull", "--from", xnat, "--user", "root", "--all-projects", "--json")
    assert done.exit_code == 3, done.output
    found = json.loads(done.stdout)["scripts"]
    assert [(row["project"], row["status"]) for row in found] == [(None, "copied"), ("P", "copied"), ("Q", "refused")]
    assert found[2]["reason"].startswith("At --from: The server answered a page instead of a script.")
    assert stored(target, None) == (SCRIPT, True)
    assert stored(target, "P") == (OTHER, False)
    assert set(Xnat.seen) == set(ANSWERS)
    again = json.loads(run("script", "pull", "--from", xnat, "--user", "root", "--project", "P", "--json").stdout)
    assert [row["status"] for row in again["scripts"]] == ["unchanged", "unchanged"]


def test_an_xnat_that_knows_neither_login_nor_list(
    run: Run, target: Site, xnat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("script", "pull", "--from", xnat.removesuffix("/xnat"), "--user", "root", "--all-projects")
    assert (done.exit_code, done.stderr.startswith("error: At --from: The server answered 404.")) == (7, True)
    monkeypatch.setenv("INBOX_PIPELINE_PULL_PASSWORD", "hunter2")
    done = run("script", "pull", "--from", xnat, "--user", "root", "--all-projects")
    assert (done.exit_code, "hunter2" in done.output) == (6, False)
