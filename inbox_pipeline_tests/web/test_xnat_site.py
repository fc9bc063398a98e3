"""What XNAT tells of itself: uptime in its shape, no plugins."""

from __future__ import annotations

import re
import time

import pytest

from inbox_pipeline.web.xnat_site import in_units
from inbox_pipeline_tests.web.conftest import Client


@pytest.mark.parametrize(
    ("seconds", "units"),
    [
        (0.0, {"seconds": "0.000"}),
        (61.25, {"minutes": "1", "seconds": "1.250"}),
        (3600, {"hours": "1", "minutes": "0", "seconds": "0.000"}),
        (90061, {"days": "1", "hours": "1", "minutes": "1", "seconds": "1.000"}),
    ],
)
def test_a_duration_begins_with_its_largest_unit(seconds: float, units: dict[str, str]) -> None:
    assert in_units(seconds) == units


def test_uptime_grows(ada: Client) -> None:
    first = float(ada("GET", "/xapi/siteConfig/uptime").json()["seconds"])
    time.sleep(0.01)
    assert float(ada("GET", "/xapi/siteConfig/uptime").json()["seconds"]) > first
    assert re.fullmatch(r"(\d+ minutes, )?[\d.]+ seconds", ada("GET", "/xapi/siteConfig/uptime/display").text)


def test_there_are_no_plugins(ada: Client, stranger: Client) -> None:
    assert ada("GET", "/xapi/plugins").json() == ada("GET", "/xapi/plugins/").json() == {}
    assert ada("GET", "/xapi/plugins/ohif").status_code == 404
    assert stranger("GET", "/xapi/plugins").status_code == 401
