"""Which children `up` has, with which arguments and variables.

Belongs here: the list. Does not belong here: starting or watching them (`children.py`, `up.py`).
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr

from inbox_pipeline.errors import Rejected
from inbox_pipeline.settings import PREFIX, Settings
from inbox_pipeline.supervise.children import Recipe
from inbox_pipeline.supervise.instance import storage_url

LOOPBACK = "127.0.0.1"
SOCKET_PATH_BYTES = 100
TICK_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Places:
    """Where the parts find each other."""

    port: int
    dagster_port: int
    code_socket: Path
    workspace: Path

    @property
    def dagster_url(self) -> str:
        """Address of Dagster's own UI."""
        return f"http://{LOOPBACK}:{self.dagster_port}"


def choose_places(settings: Settings) -> Places:
    """Return the ports and paths of this start.

    Raises:
        Rejected: `port_taken`.
    """
    port = _free_port(settings.host, settings.port, "PORT")
    dagster_port = _free_port(LOOPBACK, settings.dagster_port, "DAGSTER_PORT")
    return Places(port, dagster_port, _socket_path(settings), settings.dagster_home / "workspace.yaml")


def leave_places(settings: Settings, places: Places) -> None:
    """Remove the code server's socket, and its folder where that is not HOME's."""
    places.code_socket.unlink(missing_ok=True)
    if places.code_socket.parent != settings.dagster_home:
        places.code_socket.parent.rmdir()


def code_server(places: Places) -> Recipe:
    """Return the one code server, which daemon and webserver share."""
    arguments = ("dagster", "api", "grpc", "--socket", str(places.code_socket), "--empty-working-directory")
    more = ("--module-name", "inbox_pipeline.definitions", "--location-name", "inbox_pipeline", "--log-level", "error")
    return Recipe("code-server", (*arguments, *more, "--use-python-environment-entry-point"))


def storage() -> Recipe:
    """Return the step that makes Dagster's own tables; it ends by itself."""
    return Recipe("storage", ("inbox_pipeline.pipeline.storage",))


def web(places: Places) -> Recipe:
    """Return the web process."""
    return Recipe("web", ("inbox_pipeline.web",), {f"{PREFIX}PORT": str(places.port), f"{PREFIX}SUPERVISED": "1"})


def daemon(places: Places) -> Recipe:
    """Return Dagster's daemon: sensors, schedule and run queue."""
    quiet = ("--log-level", "error", "--code-server-log-level", "error")
    return Recipe("daemon", ("dagster._daemon", "run", "--workspace", str(places.workspace), *quiet))


def workers(settings: Settings) -> list[Recipe]:
    """Return the run workers."""
    return [
        Recipe(f"worker-{number}", ("inbox_pipeline.pipeline.worker", str(number)))
        for number in range(1, settings.workers + 1)
    ]


def webserver(places: Places) -> Recipe:
    """Return Dagster's own UI, on loopback: it has no login."""
    where = ("--host", LOOPBACK, "--port", str(places.dagster_port), "--workspace", str(places.workspace))
    return Recipe(
        "dagster-webserver", ("dagster_webserver", *where, "--log-level", "error", "--live-data-poll-rate", "5000")
    )


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of all children: every setting spelled out, so that no child reads another HOME.

    The first administrator's password is left out; no child needs it.
    """
    given = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings if _is_shown(value)}
    kept = {name: value for name, value in inherited.items() if not name.startswith(PREFIX)}
    seconds = str(TICK_TIMEOUT_SECONDS)
    own = {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": seconds,
        "DAGSTER_SCHEDULE_GRPC_TIMEOUT_SECONDS": seconds,
        "PYTHONUNBUFFERED": "1",
    }
    storage = storage_url(settings)
    return {**kept, **given, **own, **({f"{PREFIX}DAGSTER_STORAGE_URL": storage} if storage else {})}


def _is_shown(value: object) -> bool:
    return value is not None and not isinstance(value, SecretStr)


def _free_port(host: str, port: int, name: str) -> int:
    """Return `port` if it can be bound, or a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as bound:
            return int(bound.getsockname()[1])
    except OSError:
        raise Rejected(
            "port_taken",
            f"Port {port} on {host} is in use or not allowed.",
            f"Stop what listens there, or set {PREFIX}{name} (0 chooses a free port).",
        ) from None


def _socket_path(settings: Settings) -> Path:
    """Return the code server's socket: in HOME, or in a private folder where HOME's path cannot serve.

    It may be too long for a socket, or hold what gRPC, which takes the path as a URI, reads differently.
    """
    path = settings.dagster_home / "code.sock"
    if len(str(path).encode()) <= SOCKET_PATH_BYTES and quote(str(path)) == str(path):
        return path
    return Path(tempfile.mkdtemp(prefix="inbox-pipeline-")) / "code.sock"
