"""The HTTP client of our own API, as the command line and the demo use it, and of the routes that XNAT shares with it.

Belongs here: where the server is, who asks, the calls of `/api/v1/` and `/xapi/anonymize/`. Does not belong here:
showing answers, and anything that reads a catalog.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.settings import PREFIX, Settings

DEFAULT_URL = "http://127.0.0.1:8080"
FIRST_ADMINISTRATOR = "admin"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""Seconds: to connect, and between two pieces of an answer."""
JSON = {"content-type": "application/json"}
PLAN_TIMEOUT = httpx.Timeout(3600.0, connect=5.0)
"""A plan reads every header under the folder before it answers."""


@dataclass(frozen=True)
class Server:
    """A server's address and the credentials for it.

    `local` means that HOME or the default named it, `named_by` what to correct otherwise, `verify` that its certificate
    is checked.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    local: bool = True
    named_by: str = f"{PREFIX}URL"
    verify: bool = True


def find_server(settings: Settings, environ: Mapping[str, str]) -> Server:
    """Return the server to talk to, and as whom (DESIGN section 6).

    The address is `INBOX_PIPELINE_URL`, else the one that a running `up` recorded in HOME, else port 8080 of this
    machine. The credentials are `INBOX_PIPELINE_USER` and `_PASSWORD`; the password file in HOME is used only for a
    server that HOME named.
    """
    user, password = environ.get(f"{PREFIX}USER", ""), environ.get(f"{PREFIX}PASSWORD", "")
    given = environ.get(f"{PREFIX}URL", "")
    if given:
        return Server(given.rstrip("/"), user, password, local=False)
    recorded = _recorded_url(settings)
    if recorded and not user:
        user, password = FIRST_ADMINISTRATOR, _admin_password(settings)
    return Server(recorded or DEFAULT_URL, user, password)


class Client:
    """Calls to one server. Use as a context manager.

    Every call raises:
        Rejected: the server refused; `data["status"]` is the HTTP status.
        Unavailable: `server_unreachable`, or the server is not able to answer now (5xx).
    """

    def __init__(self, server: Server) -> None:
        auth = httpx.BasicAuth(server.user, server.password) if server.user else None
        self.server = server
        self._http = httpx.Client(
            base_url=server.url,
            auth=auth,
            timeout=TIMEOUT,
            trust_env=not server.local,
            verify=server.verify,
            headers={"accept": "application/json, application/problem+json;q=0.9, */*;q=0.1"},
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def file_import(self, parameters: Mapping[str, str | bool]) -> dict[str, Any]:
        """File an import request (the import service's parameters) and return its Request JSON."""
        return self._json("POST", "/api/v1/requests", content=_ascii(parameters), headers=JSON)

    def request(self, request_id: int) -> dict[str, Any]:
        """Return a request's JSON."""
        return self._json("GET", f"/api/v1/requests/{request_id}")

    def requests(self) -> list[dict[str, Any]]:
        """Return every request that the user may see."""
        rows: list[dict[str, Any]] = self._json("GET", "/api/v1/requests")["requests"]
        return rows

    def cancel(self, request_id: int) -> dict[str, Any]:
        """Cancel a request and return its JSON."""
        return self._json("POST", f"/api/v1/requests/{request_id}/cancel")

    def retry(self, request_id: int) -> dict[str, Any]:
        """Queue a request again and return its JSON."""
        return self._json("POST", f"/api/v1/requests/{request_id}/retry")

    def undo(self, request_id: int, *, restore: bool = False) -> dict[str, Any]:
        """Withdraw a request's sessions to the trash, or bring them back, and return what is to know about it."""
        return self._json("POST", f"/api/v1/requests/{request_id}/{'restore' if restore else 'undo'}")

    def deleted(self, project: str) -> list[dict[str, Any]]:
        """Return what was deleted from a project's archive and can be restored."""
        rows: list[dict[str, Any]] = self._json("GET", f"{_project_address(project)}/deleted")["deleted"]
        return rows

    def restore_deleted(self, project: str, deleted_id: int) -> dict[str, Any]:
        """Bring back what was deleted from a project's archive, and return what it was."""
        return self._json("POST", f"{_project_address(project)}/deleted/{deleted_id}/restore")

    def plan(self, order: Mapping[str, str | bool]) -> dict[str, Any]:
        """Return what an import would do."""
        return self._json("POST", "/api/v1/plan", content=_ascii(order), headers=JSON, timeout=PLAN_TIMEOUT)

    def ledger(self, request_id: int, kind: str) -> Iterator[bytes]:
        """Yield a request's ledger piece by piece, as `csv` or `jsonl`."""
        address = f"/api/v1/requests/{request_id}/ledger"
        with _reached(self.server), self._http.stream("GET", address, params={"format": kind}) as response:
            if response.is_error:
                response.read()
            _raise_refusal(response, self.server)
            yield from response.iter_bytes()

    def xnat_import(self, parameters: Mapping[str, str]) -> int:
        """File an import request as XNAT's clients do, and return its number."""
        query = {"import-handler": "inbox", **parameters}
        return int(self._send("POST", "/data/services/import", params=query).text.strip().rpartition("/")[2])

    def projects(self) -> list[str]:
        """Return the IDs of the projects that the user may see on an XNAT."""
        rows = self._json("GET", "/data/projects", params={"format": "json", "columns": "ID"})
        try:
            return [str(row["ID"]) for row in rows["ResultSet"]["Result"]]
        except (KeyError, TypeError):
            raise self._unexpected("no list of projects") from None

    def script(self, project: str | None) -> str:
        """Return a project's anonymization script, or the site's (None); empty when there is none."""
        response = self._send("GET", _script_address(project))
        if "html" in response.headers.get("content-type", ""):
            raise self._unexpected("a page instead of a script")
        try:
            return response.content.decode(response.charset_encoding or "utf-8")
        except (UnicodeDecodeError, LookupError):
            raise self._unexpected("a script that is not text") from None

    def script_enabled(self, project: str | None) -> bool:
        """Return whether a project's script, or the site's (None), is switched on."""
        content = self._send("GET", f"{_script_address(project)}/enabled").text.strip()
        if content not in {"true", "false"}:
            raise self._unexpected("something else than true or false")
        return content == "true"

    def put_script(self, project: str | None, text: str) -> None:
        """Store a project's script, or the site's (None)."""
        headers = {"content-type": "text/plain; charset=utf-8"}
        self._send("PUT", _script_address(project), content=text.encode(), headers=headers)

    def enable_script(self, project: str | None, enabled: bool) -> None:
        """Switch a project's script, or the site's (None)."""
        query = {"enable": str(enabled).lower()}
        headers = {"content-type": "application/json"}
        self._send("PUT", f"{_script_address(project)}/enabled", params=query, headers=headers)

    def check_script(self, text: str) -> dict[str, Any]:
        """Return what the server says about a script, storing nothing."""
        return self._json("POST", "/api/v1/scripts/check", json={"text": text})

    def failing(self) -> dict[str, str]:
        """Return the checks that fail, empty when the server can do its work."""
        with _reached(self.server):
            response = self._http.get("/readyz")
        if response.status_code == httpx.codes.OK:
            return {}
        found: dict[str, str] = _members(response).get("failing", {"server": f"answers {response.status_code}"})
        return found

    def _json(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        return _members(self._send(method, address, **options))

    def _send(self, method: str, address: str, **options: Any) -> httpx.Response:
        with _reached(self.server):
            response = self._http.request(method, address, **options)
        _raise_refusal(response, self.server)
        return response

    def _unexpected(self, what: str) -> Rejected:
        return Rejected("unexpected_answer", f"The server answered {what}.", _naming_hint(self.server))


def _ascii(members: Mapping[str, str | bool]) -> bytes:
    """Return a JSON object in ASCII, as which file names in any encoding pass."""
    return json.dumps(dict(members)).encode("ascii")


@contextmanager
def _reached(server: Server) -> Iterator[None]:
    """Turn the transport's errors into ours."""
    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Unavailable(
            "server_unreachable",
            f"The server at {server.url} does not answer ({type(error).__name__}).",
            "Start it with `inbox-pipeline up`, or set INBOX_PIPELINE_URL." if server.local else _naming_hint(server),
        ) from None


def _raise_refusal(response: httpx.Response, server: Server) -> None:
    """Raise what the server's problem document says (RFC 9457); a redirect is not followed."""
    if response.is_success:
        return
    problem = _members(response)
    code = str(problem.get("code") or response.headers.get("x-inbox-reason") or "unexpected_answer")
    sentence = str(problem.get("detail") or f"The server answered {response.status_code}.")
    hint = str(problem.get("hint") or _naming_hint(server))
    kind = Unavailable if response.is_server_error else Rejected
    raise kind(code, sentence, hint, {"status": response.status_code})


def _naming_hint(server: Server) -> str:
    return f"Check that {server.named_by} names the right server."


def _project_address(project: str) -> str:
    return f"/api/v1/projects/{quote(project, safe='')}"


def _script_address(project: str | None) -> str:
    scope = "site" if project is None else f"projects/{quote(project, safe='')}"
    return f"/xapi/anonymize/{scope}"


def _members(response: httpx.Response) -> dict[str, Any]:
    """Return the members of a JSON object, empty when the answer is none."""
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _recorded_url(settings: Settings) -> str | None:
    """Return the address that a running `up` recorded in HOME; one that has died does not count."""
    try:
        record = json.loads(settings.address_file.read_text(encoding="utf-8"))
        url, pid = str(record["url"]), int(record["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url.rstrip("/") if _is_alive(pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _admin_password(settings: Settings) -> str:
    try:
        return settings.admin_password_file.read_text(encoding="utf-8").rstrip("\n")
    except OSError:
        return ""
