"""The embedded broker: kombu's SQLAlchemy transport on a SQLite file, looked at often and kept small.

Belongs here: what one machine needs different from kombu's own transport. Does not belong here: Redis and RabbitMQ,
which kombu serves as they are.

kombu looks for messages once a second and keeps every message it delivered for ever; here it looks five times a second
and drops delivered messages when the next one is put. A lost or repeated message is harmless: leases decide.
"""

from typing import Any

from kombu.transport import sqlalchemy as base
from sqlalchemy import event
from sqlalchemy.engine import Engine

POLL_SECONDS = 0.2
BUSY_MILLISECONDS = 30_000


class Channel(base.Channel):  # type: ignore[misc] - kombu has no type information
    """A channel that forgets delivered messages."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        self._query_all(queue).filter(self.message_cls.visible.is_(False)).delete(synchronize_session=False)
        super()._put(queue, payload, **kwargs)

    def _engine_from_config(self) -> Engine:
        engine: Engine = super()._engine_from_config()
        event.listen(engine, "connect", _configure)
        return engine


class Transport(base.Transport):  # type: ignore[misc] - kombu has no type information
    """The transport that `broker_transport` names."""

    Channel = Channel
    polling_interval = POLL_SECONDS


def _configure(connection: Any, _record: Any) -> None:
    """Let readers and writers wait for each other instead of failing."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_MILLISECONDS}"):
        connection.execute(f"PRAGMA {pragma}")
