"""Reading the settings: what HOME may be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from inbox_pipeline.errors import Rejected
from inbox_pipeline.settings import read_settings


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a%2Fb"])
def test_a_home_that_a_database_url_cannot_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as error:
        read_settings({}, home=tmp_path / name)
    assert error.value.code == "settings_invalid"


@pytest.mark.parametrize("name", ["a b", "100%", "a#b&c", "it's", 'a"b', "a$b{c}", "Müller"])
def test_any_other_home_is_fine(name: str, tmp_path: Path) -> None:
    settings = read_settings({"INBOX_PIPELINE_HOME": str(tmp_path / name)})
    assert settings.home == tmp_path / name


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "10.0.0.1/8"])
def test_proxies_are_trusted_by_address_alone(proxies: str, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="INBOX_PIPELINE_TRUSTED_PROXIES"):
        read_settings({"INBOX_PIPELINE_TRUSTED_PROXIES": proxies}, home=tmp_path)
