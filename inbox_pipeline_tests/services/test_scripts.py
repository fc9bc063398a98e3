"""Stored scripts on a real catalog: versions, lookup tables, switches, checks; each change leaves a line of audit."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from pydicom import Dataset

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services import projects, scripts
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import schema
from inbox_pipeline.store.catalog.engine import Catalog
from inbox_pipeline.store.catalog.migrate import alembic_config, upgrade

SCRIPT = 'version "6.3"\n(0010,0010) := subject\n'
OTHER = 'version "6.3"\n(0010,0020) := session\n'
READS = 'version "6.3"\n(0010,0020) := lookup["pid", (0010,0020)]\n'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = init_site(read_settings({}, home=tmp_path / "home"))
    projects.create_project(made, "root", "P1")
    return made


def audited(site: Site) -> list[tuple[str, str, str]]:
    with site.catalog.read() as connection:
        query = sa.select(schema.audit.c.actor, schema.audit.c.action, schema.audit.c.object)
        return [tuple(row) for row in connection.execute(query.order_by(schema.audit.c.id))]


def active(site: Site, project_id: str | None = None) -> scripts.StoredScript:
    stored = scripts.active_script(site, project_id)
    assert stored is not None
    return stored


def test_the_default_script_is_stored_once_and_is_in_force(site: Site) -> None:
    scripts.ensure_default_script(site)
    scripts.ensure_default_script(site)
    assert (active(site).text, active(site).enabled) == (DEFAULT_SITE_SCRIPT, True)
    assert projects.show_site(site)["script"]["version"] == 1
    scripts.store_script(site, "root", SCRIPT)
    scripts.ensure_default_script(site)
    assert projects.show_site(site)["script"]["version"] == 2


def test_a_projects_first_script_is_switched_on_and_the_switch_then_stays(site: Site) -> None:
    assert scripts.active_script(site, "P1") is None
    first = scripts.store_script(site, "root", SCRIPT, "p1")
    assert (first["version"], active(site, "P1").text, active(site, "P1").enabled) == (1, SCRIPT, True)
    scripts.set_enabled(site, "root", False, "P1")
    second = scripts.store_script(site, "root", OTHER, "P1")
    assert (second["version"], active(site, "P1").text, active(site, "P1").enabled) == (2, OTHER, False)
    assert scripts.store_script(site, "root", OTHER, "P1") == second


def test_a_script_that_does_not_compile_is_refused_by_line_and_column(site: Site) -> None:
    scripts.store_script(site, "root", SCRIPT)
    with pytest.raises(Rejected) as failure:
        scripts.store_script(site, "root", 'version "6.3"\n(0010,0010 := subject\n')
    assert failure.value.code == "script_invalid"
    assert (failure.value.data["line"], failure.value.data["source"]) == (2, "(0010,0010 := subject")
    assert "line 2, column" in failure.value.sentence
    assert "\n" not in failure.value.sentence
    assert active(site).text == SCRIPT


@pytest.mark.parametrize(
    ("text", "lookup", "code"),
    [
        ("", None, "script_missing"),
        (" \r\n\t", None, "script_missing"),
        ("\ufeff", None, "script_missing"),
        (None, "pid/1 = 2", "script_missing"),
        (SCRIPT + "// \0", None, "script_not_text"),
        (SCRIPT + "// \ud800", None, "script_not_text"),
        (SCRIPT, "pid/1 = \0", "script_not_text"),
        (SCRIPT, "pid/1 = 2\nnonsense", "lookup_invalid"),
    ],
)
def test_what_is_no_script_or_no_table_is_refused_and_nothing_is_stored(
    site: Site, text: str | None, lookup: str | None, code: str
) -> None:
    with pytest.raises(Rejected) as failure:
        scripts.store_script(site, "root", text, "P1", lookup=lookup)
    assert failure.value.code == code
    assert scripts.script_versions(site, "P1") == []
    if code == "lookup_invalid":
        assert (failure.value.data["line"], failure.value.data["source"]) == (2, "nonsense")


def test_versions_are_counted_by_digest_with_author_and_time(site: Site) -> None:
    for author, text in (("ann", SCRIPT), ("ben", SCRIPT), ("ben", OTHER), ("ann", SCRIPT)):
        scripts.store_script(site, author, text, "P1")
    found = scripts.script_versions(site, "P1")
    assert [(row["version"], row["author"]) for row in found] == [(3, "ann"), (2, "ben"), (1, "ann")]
    assert found[0]["digest"] == found[2]["digest"] != found[1]["digest"]
    assert len({row["id"] for row in found}) == 3
    assert scripts.script_version(site, 2, "p1") == {**found[1], "text": OTHER, "lookup": None}
    assert scripts.script_versions(site) == []
    for missing in (0, 4):
        with pytest.raises(Rejected) as failure:
            scripts.script_version(site, missing, "P1")
        assert failure.value.code == "script_not_found"
    assert projects.show_project(site, "P1")["script"] == found[0]


def test_a_byte_order_mark_goes_and_line_ends_stay(site: Site) -> None:
    scripts.store_script(site, "root", "\ufeff" + SCRIPT.replace("\n", "\r\n"))
    assert active(site).text == SCRIPT.replace("\n", "\r\n")


def test_a_lookup_table_is_versioned_with_its_script(site: Site) -> None:
    plain = scripts.store_script(site, "root", READS, "P1")
    with_table = scripts.store_script(site, "root", None, "P1", lookup="pid/1 = one\n")
    assert (with_table["version"], with_table["has_lookup"]) == (2, True)
    assert with_table["digest"] != plain["digest"]
    assert scripts.store_script(site, "root", READS, "P1") == with_table
    changed = scripts.store_script(site, "root", READS + "// more\n", "P1")
    assert (changed["version"], active(site, "P1").lookup) == (3, "pid/1 = one\n")
    assert scripts.script_version(site, 3, "P1")["lookup"] == "pid/1 = one\n"
    without = scripts.store_script(site, "root", READS, "P1", lookup="")
    assert (without["version"], without["has_lookup"], without["digest"]) == (4, False, plain["digest"])


def test_a_stored_script_is_applied_with_its_table(site: Site) -> None:
    scripts.store_script(site, "root", READS, "P1", lookup="pid/1 = one\n")
    dataset = Dataset()
    dataset.PatientID = "1"
    scripts.compiled(site, active(site, "P1")).apply(dataset, {})
    assert dataset.PatientID == "one"


def test_a_script_that_no_longer_compiles_is_broken_and_says_where(site: Site) -> None:
    stored = scripts.StoredScript(7, "site", 'version "6.3"\n(0010', "", True)
    with pytest.raises(Rejected) as failure:
        scripts.compiled(site, stored)
    assert (failure.value.code, "script 7 does not compile (line 2)" in failure.value.sentence) == (
        "script_broken",
        True,
    )


def test_the_url_hosts_of_the_site_decide_whether_get_url_has_means(site: Site) -> None:
    dataset = Dataset()
    text = 'version "6.3"\n(0010,0020) := getURL["http://other.invalid/"]\n'
    scripts.store_script(site, "root", text)
    for hosts, reason in (("", "switched off"), ("allowed.invalid", "not in the site's url_hosts")):
        projects.set_site(site, "root", url_hosts=hosts)
        with pytest.raises(Exception, match=reason):
            scripts.compiled(site, active(site)).apply(dataset, {})


def test_removing_a_projects_script_is_a_version_without_text(site: Site) -> None:
    scripts.remove_script(site, "root", "P1")
    assert scripts.script_versions(site, "P1") == []
    scripts.store_script(site, "root", READS, "P1", lookup="pid/1 = one\n")
    scripts.remove_script(site, "ann", "p1")
    scripts.remove_script(site, "ann", "P1")
    assert scripts.active_script(site, "P1") is None
    assert projects.show_project(site, "P1")["script"] is None
    found = scripts.script_versions(site, "P1")
    assert [(row["version"], row["removed"]) for row in found] == [(2, True), (1, False)]
    assert audited(site)[-1] == ("ann", "script.remove", "P1")
    again = scripts.store_script(site, "root", READS, "P1")
    assert (again["version"], active(site, "P1").lookup) == (3, None)


@pytest.mark.parametrize("scope", [None, "p1"])
def test_switching_is_audited_once(site: Site, scope: str | None) -> None:
    scripts.store_script(site, "root", SCRIPT, scope)
    assert scripts.is_enabled(site, scope) is True
    for enabled, action in ((False, "script.disable"), (True, "script.enable")):
        before = len(audited(site))
        for _ in range(2):
            scripts.set_enabled(site, "ann", enabled, scope)
        assert audited(site)[before:] == [("ann", action, "P1" if scope else "site")]
        assert scripts.is_enabled(site, scope) is enabled
        assert active(site, scope).enabled is enabled


def test_an_unknown_project_is_refused_by_every_use(site: Site) -> None:
    for name in ("P2", "P1\0", ""):
        for use in (
            lambda scope: scripts.store_script(site, "root", SCRIPT, scope),
            lambda scope: scripts.remove_script(site, "root", scope),
            lambda scope: scripts.set_enabled(site, "root", True, scope),
            lambda scope: scripts.active_script(site, scope),
            lambda scope: scripts.script_versions(site, scope),
            lambda scope: scripts.script_version(site, 1, scope),
        ):
            with pytest.raises(Rejected) as failure:
                use(name)
            assert failure.value.code == "project_not_found"


def test_scripts_of_the_first_catalog_stay_and_have_no_table(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    config = alembic_config()
    with catalog.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with catalog.write() as connection:
        row = "(1, NULL, 1, 'd', 'the text', 'ann', '2026-01-01 00:00:00')"
        connection.execute(
            sa.text(f"INSERT INTO scripts (id, project_id, version, digest, text, author, created_at) VALUES {row}")  # noqa: S608 - a constant
        )
    upgrade(catalog)
    with catalog.read() as connection:
        row = connection.execute(sa.select(schema.scripts)).mappings().one()
    assert (row["text"], row["digest"], row["lookup"]) == ("the text", "d", None)
    catalog.dispose()
