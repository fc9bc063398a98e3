"""Fixtures that every room's tests share: a throwaway site, and nothing that could touch real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.projects import create_project, ensure_default_script
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.settings import PREFIX, read_settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own settings out of the tests."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and not name.endswith("_SHARED")]:
        monkeypatch.delenv(name)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A new site with the default script, the administrator `admin` and the project `P`."""
    opened = init_site(read_settings({}, home=tmp_path / "home"))
    ensure_default_script(opened)
    create_user(opened, "system", "admin", "a good password", admin=True)
    create_project(opened, "admin", "P")
    return opened


@pytest.fixture
def admin(site: Site) -> Account:
    """The administrator's account."""
    from inbox_pipeline.services.accounts import get_account

    account = get_account(site, "admin")
    assert account is not None
    return account
