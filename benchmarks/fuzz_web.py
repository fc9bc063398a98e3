"""Schemathesis over both OpenAPI documents of a real server: wrong answers and hangs are counted, and must be none.

Usage: benchmarks/run fuzz-web [SECONDS] [DATABASE_URL]

A site of its own is filled, served over HTTP and asked for all that its documents describe, under every prefix, as
administrator, as member and as somebody without a role (`inbox_pipeline_tests/web/api_fuzz.py`). The time is shared
among the passes. Needs the extra `dev`. DATABASE_URL is that of an empty PostgreSQL database; SQLite without it.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import _result
from inbox_pipeline.services import accounts
from inbox_pipeline.services.site import init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline_tests.server_for_tests import web_process
from inbox_pipeline_tests.web import api_fuzz

_CASES = re.compile(r"^  ([\d,]+) generated", re.MULTILINE)
_FAILED = re.compile(r"^  ❌ .*: (\d+)$", re.MULTILINE)
_HUNG = re.compile("timed out after")


def measure(seconds: int, database_url: str | None) -> dict[str, Any]:
    """Fuzz for so long and return what was found."""
    home = Path(tempfile.mkdtemp(prefix="fuzz-web-"))
    environment = {"INBOX_PIPELINE_DATABASE_URL": database_url} if database_url else {}
    site = init_site(read_settings(environment, home=home / "home"))
    accounts.create_user(site, "system", "admin", api_fuzz.PASSWORD, admin=True)
    stage, found = api_fuzz.Stage(site), Counter[str]()
    planned = [(k, role, name) for k in api_fuzz.DOCUMENTS for role in api_fuzz.ROLES for name in api_fuzz.passes(k)]
    begun = time.monotonic()
    with web_process(site.settings.home, **environment) as url:
        for number, (kind, role, name) in enumerate(planned):
            left = max(1, int((seconds - (time.monotonic() - begun)) / (len(planned) - number)))
            options = ("--seed", str(number), "--max-time", str(left), "--continue-on-failure")
            outcome = api_fuzz.one_pass(stage, url, kind, role, name, home / f"{kind}-{role}-{name}", *options)
            found += _counted(outcome)
            if outcome.code:
                print(outcome.told)
        answered = api_fuzz.answered(url)
    site.catalog.dispose()
    statuses = sum(answered.values(), Counter[int]())
    counts = {name: found[name] for name in ("cases", "failures", "hangs", "broken_passes")}
    database = "postgresql" if database_url else "sqlite"
    answers = {str(status): statuses[status] for status in sorted(statuses)}
    return {"seconds": round(time.monotonic() - begun), "database": database, **counts, "answers": answers}


def _counted(outcome: api_fuzz.Outcome) -> Counter[str]:
    cases = sum(int(each.replace(",", "")) for each in _CASES.findall(outcome.told))
    failures = sum(map(int, _FAILED.findall(outcome.told)))
    hangs = len(_HUNG.findall(outcome.told))
    return Counter(cases=cases, failures=failures, hangs=hangs, broken_passes=int(outcome.code != 0))


if __name__ == "__main__":
    given = sys.argv[1:]
    figures = measure(int(given[0]) if given else 1200, given[1] if len(given) > 1 else None)
    _result.write("fuzz-web", figures)
    assert figures["cases"] > 0
    assert figures["failures"] == figures["hangs"] == figures["broken_passes"] == 0
    assert not any(int(status) >= 500 for status in figures["answers"])
