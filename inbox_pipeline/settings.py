"""One frozen `Settings`, read once from the environment (DESIGN section 6).

Belongs here: names, defaults and paths of the settings. Does not belong here: any use of them, or I/O.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from inbox_pipeline.errors import Rejected

PREFIX = "INBOX_PIPELINE_"


class Settings(BaseModel):
    """Where everything lies and how the parts reach each other.

    Paths are absolute. Ports are TCP ports; 0 chooses a free one. Durations are seconds. Of `trusted_proxies` the web
    process believes who sends a request and whether by TLS.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    home: Path
    database_url: str
    inbox_path: Path
    prearchive_path: Path
    archive_path: Path
    staging_path: Path
    trash_path: Path
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    dagster_port: int = Field(3000, ge=0, le=65535)
    admin_password: SecretStr | None = None
    secret_file: Path
    broker_url: str | None = None
    workers: int = Field(2, ge=1, le=64)
    max_concurrent_requests: int = Field(2, ge=1, le=64)
    lease_seconds: float = Field(60.0, ge=3.0, le=3600.0)
    quiet_seconds: float = Field(300.0, ge=0.0)
    trusted_proxies: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: Path | None = None

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        """Accept IP addresses and networks, separated by commas."""
        for network in filter(None, value.split(",")):
            ip_network(network.strip())
        return value

    @property
    def dagster_home(self) -> Path:
        """Folder that `DAGSTER_HOME` names."""
        return self.home / "dagster"

    @property
    def broker_path(self) -> Path:
        """File of the embedded broker, used when `broker_url` is not set."""
        return self.home / "dagster" / "broker.db"

    @property
    def admin_password_file(self) -> Path:
        """Where the first administrator's password is written, mode 0600."""
        return self.home / "admin-password"

    @property
    def linking_path(self) -> Path:
        """Folder of the projects' linking tables, apart from everything else."""
        return self.home / "linking"

    @property
    def address_file(self) -> Path:
        """JSON file in which a running `up` records its address."""
        return self.home / "server.json"


def read_settings(environ: Mapping[str, str] | None = None, *, home: Path | None = None) -> Settings:
    """Build `Settings` from `INBOX_PIPELINE_*` variables.

    Args:
        environ: mapping to read; the process's environment when None.
        home: overrides `INBOX_PIPELINE_HOME` (the `--home` option).

    Raises:
        Rejected: `settings_invalid`, naming each variable that cannot be used.
    """
    env = os.environ if environ is None else environ
    given = {key[len(PREFIX) :].lower(): value for key, value in env.items() if key.startswith(PREFIX) and value != ""}
    base = Path(home if home is not None else given.get("home", "./inbox-home")).absolute()
    _refuse_ambiguous(base)
    values: dict[str, object] = {**_defaults(base), **given, "home": base}
    if "workers" in given and "max_concurrent_requests" not in given:
        values["max_concurrent_requests"] = given["workers"]
    for name in ("inbox_path", "prearchive_path", "archive_path", "staging_path", "trash_path", "secret_file"):
        values[name] = Path(str(values[name])).absolute()
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        names = ", ".join(f"{PREFIX}{str(item['loc'][0]).upper()} ({item['msg']})" for item in error.errors())
        raise Rejected("settings_invalid", f"These settings cannot be used: {names}.", "Correct them.") from None


def _refuse_ambiguous(home: Path) -> None:
    """Refuse a HOME that a database URL cannot name: Dagster writes the path of its files into one as it is.

    Raises:
        Rejected: `settings_invalid`.
    """
    text = str(home)
    if "?" in text or unquote(text) != text:
        raise Rejected(
            "settings_invalid",
            f"{PREFIX}HOME holds '?' or '%' with two hexadecimal digits, which mean something else in a database URL.",
            "Choose a folder whose path has neither.",
        )


def _defaults(home: Path) -> dict[str, object]:
    """Return the values that follow from HOME alone."""
    return {
        "database_url": f"sqlite:///{home / 'catalog.db'}",
        "inbox_path": home / "inbox",
        "prearchive_path": home / "prearchive",
        "archive_path": home / "archive",
        "staging_path": home / "staging",
        "trash_path": home / "trash",
        "secret_file": home / "secret.key",
    }
