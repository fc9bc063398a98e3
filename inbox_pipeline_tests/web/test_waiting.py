"""How requests that did not do what was asked are answered to those who wait for them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from inbox_pipeline.intake.prearchive import CONFLICTS
from inbox_pipeline.intake.reasons import REQUEST_ENDINGS
from inbox_pipeline.web.waiting import FAULTS, not_done

CODES = {reason.code for reason in REQUEST_ENDINGS}


@pytest.mark.parametrize("code", sorted(CODES))
def test_an_ending_is_a_conflict_unless_it_is_the_sites_fault(code: str) -> None:
    said = not_done(cast(Any, {"reason": code, "verdict": "It ended."}))
    assert said.code == code
    assert said.hint
    assert said.data["status"] == (500 if code in FAULTS else 409)


def test_what_a_reviewer_or_somebody_else_can_do_something_about_is_no_fault() -> None:
    assert FAULTS < CODES
    assert not FAULTS & (CONFLICTS | {"cancelled", "withdrawn", "prearchive_gone", "labels_fixed", "nothing_left"})
