"""The web process: reads the settings, opens the site, listens.

Belongs here: sockets, signals and what a supervising process needs to know. Does not belong here: routes.

Exit codes: 0 after SIGTERM or SIGINT; 2 when the site cannot be opened or the address is taken, with one JSON line on
standard error that says why.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from inbox_pipeline.errors import InboxError
from inbox_pipeline.observability import configure_logging
from inbox_pipeline.services.site import open_site
from inbox_pipeline.settings import PREFIX, Settings, read_settings
from inbox_pipeline.web.app import create_app

SUPERVISED = f"{PREFIX}SUPERVISED"
GRACE_SECONDS = 5
_PR_SET_PDEATHSIG = 1


class _Server(uvicorn.Server):
    """A server that says where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, url: str, port_file: Path | None) -> None:
        super().__init__(config)
        self._url = url
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce the address."""
        await super().startup(sockets)
        if self.started:
            announce(self._url, self._port_file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the web process until it is told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m inbox_pipeline.web", description="Serve the HTTP side of a site.")
    parser.add_argument("--port-file", type=Path, help="file to write the listening port to")
    chosen = parser.parse_args(arguments)
    if os.environ.get(SUPERVISED) == "1":
        end_with_parent()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _leave)
    configure_logging()
    try:
        serve(read_settings(), chosen.port_file)
    except (InboxError, OSError) as error:
        return _refuse_to_start(error)
    return 0


def serve(settings: Settings, port_file: Path | None = None) -> None:
    """Serve a site on the settings' host and port until a signal.

    Raises:
        InboxError: as `open_site`.
        OSError: when the address cannot be used.
    """
    site = open_site(settings)
    with listen(settings.host, settings.port) as bound:
        config = uvicorn.Config(
            create_app(site),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        _Server(config, address(settings.host, bound.getsockname()[1]), port_file).run(sockets=[bound])
    site.catalog.dispose()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; port 0 takes a free one.

    Raises:
        OSError: when the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=256)


def address(host: str, port: int) -> str:
    """Return the URL under which the server answers on this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared
    return f"http://{shown}:{port}"


def announce(url: str, port_file: Path | None) -> None:
    """Tell the supervising process where the server listens: the port's file, then one JSON line on standard output."""
    if port_file is not None:
        partial = port_file.with_name(port_file.name + ".part")
        partial.write_text(url.rpartition(":")[2] + "\n")
        partial.replace(port_file)
    print(json.dumps({"event": "listening", "url": url}), flush=True)  # noqa: T201 - the line is the interface


def end_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent dies (Linux `prctl(2)`); without effect elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End with 0: before the server listens, and when uvicorn repeats the signal after its shutdown."""
    raise SystemExit(0)


def _refuse_to_start(error: InboxError | OSError) -> int:
    why = (
        {"code": error.code, "sentence": error.sentence, "hint": error.hint}
        if isinstance(error, InboxError)
        else {"code": "address_unusable", "sentence": f"The address cannot be used ({os.strerror(error.errno or 0)})."}
    )
    print(json.dumps({"event": "refused", **why}), file=sys.stderr, flush=True)  # noqa: T201 - the process's last word
    return 2
