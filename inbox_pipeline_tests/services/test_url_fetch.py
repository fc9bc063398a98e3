"""`getURL` against a real server on this machine: the list of hosts, redirects, limits, and what errors tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydicom import Dataset

from inbox_pipeline.script import RunError, compile_script
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.services import url_fetch

HOSTS = "localhost,127.0.0.1"


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["authorization"]))
        path, _, query = self.path.partition("?")
        if path == "/to":
            self.send_response(302)
            self.send_header("Location", query)
            self.end_headers()
            return
        if path == "/late":
            time.sleep(0.5)
        body = {"/big": b"x" * 3000, "/latin": "Müller".encode("latin-1")}.get(path, b"id-7\r\nend")
        self.send_response(404 if path == "/gone" else 200)
        self.send_header("Content-Type", "text/plain; charset=latin-1" if path == "/latin" else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        with suppress(BrokenPipeError, ConnectionResetError):
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server; nothing is remembered from before."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Handler, "seen", [], raising=False)
    url_fetch._remembered.cache_clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(url: str, hosts: str = HOSTS) -> str:
    function = url_fetch.fetcher(hosts)
    assert function is not None
    return function(url)


def refusal(url: str, hosts: str = HOSTS) -> str:
    with pytest.raises(Failure) as failure:
        fetch(url, hosts)
    return failure.value.message


def test_an_empty_list_switches_it_off() -> None:
    assert url_fetch.fetcher("") is None


def test_an_allowed_host_is_asked_once_for_each_url(served: str) -> None:
    for _ in range(2):
        assert fetch(f"{served}/a?id=1") == "id-7\r\nend"
        assert fetch(f"{served}/a?id=2") == "id-7\r\nend"
        assert fetch(f"{served}/latin") == "Müller"
    assert [path for path, _ in Handler.seen] == ["/a?id=1", "/a?id=2", "/latin"]


def test_a_script_gets_the_lines_joined(served: str) -> None:
    dataset = Dataset()
    dataset.PatientID = "canary"
    script = f'version "6.3"\n(0010,0020) := getURL[concatenate["{served}/a?id=", (0010,0020)]]\n'
    compile_script(script, fetch=url_fetch.fetcher(HOSTS)).apply(dataset, {})
    assert dataset.PatientID == "id-7end"
    assert Handler.seen == [("/a?id=canary", None)]


@pytest.mark.parametrize("host", ["127.0.0.1.", "127.1", "evil.invalid", "localhost.evil.invalid", "[::1]"])
def test_other_hosts_are_not_asked(served: str, host: str) -> None:
    url = served.replace("127.0.0.1", host) + "/canary?canary"
    assert refusal(url, "localhost") == "getURL asked a host that is not in the site's url_hosts"
    assert Handler.seen == []


def test_the_list_counts_for_every_request_of_a_chain(served: str) -> None:
    assert fetch(f"{served}/to?{served}/a") == "id-7\r\nend"
    other = served.replace("127.0.0.1", "localhost")
    assert "not in the site's url_hosts" in refusal(f"{served}/to?{other}/canary", "127.0.0.1")
    assert [path for path, _ in Handler.seen if "/to?" not in path] == ["/a"]
    for url in (f"{served}/to?ftp://127.0.0.1/x", f"{served}/to?file:///etc/passwd", "file:///etc/passwd"):
        assert "http" in refusal(url) or "UnsupportedProtocol" in refusal(url)
    assert "TooManyRedirects" in refusal(f"{served}/to?/to?/to?/to?/to?/to?/to?/a")


def test_no_password_is_sent(served: str) -> None:
    url = served.replace("//", "//ann:hunter2@")
    assert refusal(f"{url}/a") == "getURL does not send passwords"
    assert refusal(f"{served}/to?{url}/a") == "getURL does not send passwords"
    assert [credentials for _, credentials in Handler.seen] == [None]


def test_limits_of_size_and_time(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_fetch, "MOST_BYTES", 2999)
    assert refusal(f"{served}/big") == "getURL was answered with more than 2999 bytes by 127.0.0.1"
    monkeypatch.setattr(url_fetch, "SECONDS", 0.2)
    assert refusal(f"{served}/late") == "getURL was not answered within 0.2 seconds"


@pytest.mark.parametrize(
    "url", ["", "canary", "http://", "http://127.0.0.1:1/canary", "http://[canary", "gopher://x/", "ht\0tp://x"]
)
def test_errors_hold_nothing_of_the_url(url: str) -> None:
    assert "canary" not in refusal(url)


def test_an_error_names_line_host_and_status_and_no_more(served: str) -> None:
    dataset = Dataset()
    dataset.PatientID = "canary"
    script = f'version "6.3"\n(0010,0020) := getURL[concatenate["{served}/gone?id=", (0010,0020)]]\n'
    with pytest.raises(RunError) as failure:
        compile_script(script, fetch=url_fetch.fetcher(HOSTS)).apply(dataset, {})
    assert (failure.value.line, "canary" in str(failure.value)) == (2, False)
    assert "answered 404 by 127.0.0.1" in failure.value.message
    assert dataset.PatientID == "canary"
