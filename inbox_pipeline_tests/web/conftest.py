"""A site with two users and a project, and clients that talk to its web application in process."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from inbox_pipeline.services import accounts, projects
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.settings import Settings, read_settings
from inbox_pipeline.web.app import create_app
from inbox_pipeline_tests.server_for_tests import web_process

PASSWORD = "correct horse"


@dataclass
class Client:
    """Sends single requests to an application in process, keeping no cookies but those that a test gives."""

    app: Any
    pair: tuple[str, str] | None = None
    address: str = "203.0.113.5"
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, url: str, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        options.setdefault("auth", self.pair)
        return asyncio.run(self._send(method, url, headers=headers, **options))

    async def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, client=(self.address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://inbox.test") as client:
            return await client.request(method, url, **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from people_and_projects(read_settings({}, home=tmp_path_factory.mktemp("site") / "home"))


def people_and_projects(settings: Settings) -> Iterator[Site]:
    """Make a site with an administrator, two users and a project of each, and close it in the end."""
    made = init_site(settings)
    accounts.create_user(made, "system", "admin", PASSWORD, admin=True)
    for login in ("ada", "bob"):
        accounts.create_user(made, "admin", login, PASSWORD)
    projects.create_project(made, "admin", "P1", owner="ada")
    projects.create_project(made, "admin", "P2", owner="bob")
    yield made
    made.catalog.dispose()


@pytest.fixture(scope="module")
def app(site: Site) -> Any:
    return create_app(site)


@pytest.fixture(scope="module")
def url(site: Site) -> Iterator[str]:
    """The address of the site's own web process."""
    with web_process(site.settings.home) as address:
        yield address


@pytest.fixture(scope="module")
def xnat() -> Any:
    """Unmodified xnatpy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xnat
    return xnat


@pytest.fixture
def ada(app: Any) -> Client:
    return Client(app, ("ada", PASSWORD))


@pytest.fixture
def bob(app: Any) -> Client:
    return Client(app, ("bob", PASSWORD))


@pytest.fixture
def admin(app: Any) -> Client:
    return Client(app, ("admin", PASSWORD))


@pytest.fixture
def stranger(app: Any) -> Client:
    return Client(app)


@pytest.fixture
def folder(site: Site, request: pytest.FixtureRequest) -> Path:
    """A folder with one file under the inbox, its own for each test."""
    made = site.settings.inbox_path / "P1" / f"s{abs(hash(request.node.name))}"
    made.mkdir()
    (made / "readme.txt").write_text("not DICOM")
    return made
