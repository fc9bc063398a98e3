"""Logs of the server processes: one JSON object per line on standard error, without values.

Belongs here: the formatter and filter that every server process sets up once. Does not belong here: what is logged.

Only messages of this package and of a few named libraries are written out. Of any other logger a warning or error
tells the logger, level, module and line; of an exception its class and place. A message or a traceback of a library
may hold a value read from a file, a path or a parameter. Messages of pydicom and of Python's warnings are dropped.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
import traceback
from types import TracebackType
from typing import Any, TextIO

OWN = "inbox_pipeline"
TRUSTED = (OWN, "uvicorn.error")
DROPPED = ("pydicom", "py.warnings")


class ValueFilter(logging.Filter):
    """Drops records of loggers whose messages hold values read from files, and chatter that is withheld anyway.

    Args:
        trusted: loggers, with those below them, whose messages are written out.
    """

    def __init__(self, trusted: tuple[str, ...] = TRUSTED) -> None:
        super().__init__()
        self._trusted = trusted

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record may be written at all."""
        if _under(record.name, DROPPED):
            return False
        return record.levelno >= logging.WARNING or _under(record.name, self._trusted)


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON; `extra={"fields": {...}}` adds members.

    Args:
        trusted: loggers, with those below them, whose messages are written out.
    """

    def __init__(self, trusted: tuple[str, ...] = TRUSTED) -> None:
        super().__init__()
        self._trusted = trusted

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._message(record),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = describe_exception(record.exc_info[0], record.exc_info[2])
        return json.dumps(line, default=str)

    def _message(self, record: logging.LogRecord) -> str:
        if not _under(record.name, self._trusted):
            return f"(message withheld, {record.module} line {record.lineno})"
        if record.exc_info:
            return "An exception ended this piece of work."
        return record.getMessage()


def describe_exception(kind: type[BaseException], trace: TracebackType | None) -> dict[str, Any]:
    """Return an exception's class and the module and line it came from, and where our own code last was."""
    frames = [(frame.f_globals.get("__name__", "?"), line) for frame, line in traceback.walk_tb(trace)]
    own = [place for place in frames if _under(str(place[0]), (OWN,))]
    places = {"at": frames[-1:], "own": own[-1:]}
    described = {name: f"{place[0][0]}:{place[0][1]}" for name, place in places.items() if place}
    return {"class": f"{kind.__module__}.{kind.__qualname__}"} | described


def configure_logging(
    stream: TextIO | None = None, *, level: int = logging.INFO, trusted: tuple[str, ...] = TRUSTED
) -> None:
    """Send all logs of this process through the formatter and filter above, to standard error by default.

    To be called once, at a server process's start.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(trusted))
    handler.addFilter(ValueFilter(trusted))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)


def _under(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)
