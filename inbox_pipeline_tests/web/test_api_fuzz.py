"""Schemathesis over both OpenAPI documents: no fault, no hang, nothing but what the documents say.

A real server over HTTP. Administrator and member ask for all that is described, by the shortest of XNAT's prefixes: the
others lead to the same functions. `benchmarks/run fuzz-web` asks for longer, with every prefix and also as an outsider.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.web import api_fuzz
from inbox_pipeline_tests.web.api_fuzz import DOCUMENTS, Stage

pytestmark = pytest.mark.services

OTHER_PREFIXES = ("/REST/", "/data/archive/")
PHASES = {"admin": "examples,coverage,fuzzing", "member": "examples,fuzzing"}
"""The edges of each parameter (`coverage`) are the same whoever asks."""
EXAMPLES = {"own": "8", "xnat": "3"}


@pytest.fixture(scope="module")
def stage(site: Site) -> Stage:
    return Stage(site)


@pytest.mark.parametrize("role", ["admin", "member"])
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_server_does_what_its_documents_say(stage: Stage, url: str, tmp_path: Path, kind: str, role: str) -> None:
    options = ["--seed", "1", "--max-examples", EXAMPLES[kind], "--no-shrink", "--phases", PHASES[role]]
    for name in api_fuzz.passes(kind):
        outcome = api_fuzz.one_pass(stage, url, kind, role, name, tmp_path / name, *options, but=OTHER_PREFIXES)
        assert outcome.code == 0, outcome.told
    answered = api_fuzz.answered(url)
    statuses = {status for counted in answered.values() for status in counted}
    assert not {status for status in statuses if status >= 500}
    if role == "admin":
        succeeded = {api_fuzz.wanted_from(route) for route in _successful(answered)}
        missing = {route for route in _described(url, kind) if api_fuzz.wanted_from(route) not in succeeded}
        assert not missing, "\n".join(f"{name}: {dict(answered[name])}" for name in sorted(missing))


def _described(url: str, kind: str) -> set[str]:
    paths: dict[str, Any] = httpx.get(f"{url}{DOCUMENTS[kind]}", timeout=60).json()["paths"]
    tested = (path for path in paths if not path.startswith(OTHER_PREFIXES))
    return {f"{method.upper()} {path}" for path in tested for method in paths[path]}


def _successful(answered: dict[str, Any]) -> set[str]:
    """Return what was asked so that it succeeded, as documents name it."""
    succeeded = (route for route, counted in answered.items() if any(status < 300 for status in counted))
    return {route.replace(":path}", "}") for route in succeeded}
