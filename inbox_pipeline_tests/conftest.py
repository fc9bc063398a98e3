"""Fixtures that every room's tests share: a throwaway site, and nothing that could touch real data."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from inbox_pipeline.services.accounts import Account, create_user, get_account
from inbox_pipeline.services.projects import create_project, set_site
from inbox_pipeline.services.scripts import ensure_default_script
from inbox_pipeline.services.site import Site, init_site, open_site
from inbox_pipeline.settings import PREFIX, read_settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED = Path(os.environ.get("INBOX_PIPELINE_SHARED") or Path(__file__).parents[1].parent / "shared")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test of the layer `shared` that was asked for without its data, instead of looking at nothing."""
    if item.get_closest_marker("shared") and not (SHARED / "data" / "dicom").is_dir():
        pytest.fail("the shared reference data are not there; INBOX_PIPELINE_SHARED names their folder", pytrace=False)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return what `-n auto` means: on few processors two each, as tests of real servers wait most of the time."""
    processors = len(os.sched_getaffinity(0))
    return max(processors, min(2 * processors, 8))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist hand out modules in the order of `pytest_collection_modifyitems`."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with tests of real servers, which wait: others fill in meanwhile, and no long ones are left to the end."""
    items.sort(key=lambda item: item.get_closest_marker("services") is None)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own settings out of the tests."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and not name.endswith("_SHARED")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _clients_are_collected_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what unmodified clients leave open where its warnings are ignored, not within another test."""
    yield
    if any(mark.args == ("ignore",) for mark in request.node.iter_markers("filterwarnings")):
        gc.collect()


@pytest.fixture(scope="session")
def site_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The HOME of a site as XNAT's: policy `none`, the default script, the administrator `admin`, the project `P`."""
    home = tmp_path_factory.mktemp("template") / "home"
    made = init_site(read_settings({}, home=home))
    ensure_default_script(made)
    create_user(made, "system", "admin", "a good password", admin=True)
    set_site(made, "admin", policy="none")
    create_project(made, "admin", "P")
    made.catalog.dispose()
    return home


@pytest.fixture
def site(site_template: Path, tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own: a copy of the template."""
    shutil.copytree(site_template, tmp_path / "home")
    opened = open_site(read_settings({}, home=tmp_path / "home"))
    yield opened
    opened.catalog.dispose()


@pytest.fixture
def admin(site: Site) -> Account:
    """The administrator's account."""
    account = get_account(site, "admin")
    assert account is not None
    return account
