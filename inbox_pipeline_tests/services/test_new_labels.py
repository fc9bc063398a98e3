"""Other labels under policy basic: allowed unless they give the patient away, which digests alone must tell."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Cancelled, Rejected
from inbox_pipeline.services import prearchive, requests, steps, undo
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.new_labels import refuse_identifying
from inbox_pipeline.services.prearchive import Wish
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.trash import KEPT, empty_trash
from inbox_pipeline.store.catalog.prearchive import get
from inbox_pipeline.store.catalog.schema import identifier_digests, ledger, metadata, sessions
from inbox_pipeline_tests.data_for_tests import save, session_folder
from inbox_pipeline_tests.services.crashing import Crash, attempt, bury
from inbox_pipeline_tests.services.identifying import PLANTED, basic, visit
from inbox_pipeline_tests.services.importing import file, imported
from inbox_pipeline_tests.services.test_prearchive import archived, assert_sound, place_of

GIVING_AWAY = [
    (Wish(subject_label="OFarrell"), "subject", "name"),
    (Wish(session_label="siobhan_mr1"), "session", "name"),
    (Wish(session_label="Maeve-OFarrell-2"), "session", "name"),
    (Wish(session_label="MRN4471122"), "session", "id"),
    (Wish(session_label="v_4471122"), "session", "id"),
    (Wish(subject_label="OLDMRN99887"), "subject", "id"),
    (Wish(session_label="acc5550123_a"), "session", "id"),
    (Wish(session_label="b19500311"), "session", "birth date"),
    (Wish(session_label="110350"), "session", "birth date"),
    (Wish(session_label="1_2_826_0_1_3680043_8_498_77_1"), "session", "uid"),
]


@pytest.fixture
def waiting(site: Site, admin: Account) -> dict[str, Any]:
    """The import that made a prearchive session under policy basic."""
    basic(site, code=0)
    return imported(site, admin, visit(site.settings.inbox_path / "P" / "visit"))


def stored(site: Site) -> list[dict[str, Any]]:
    with site.catalog.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(identifier_digests)).mappings()]


@pytest.mark.parametrize(("wish", "which", "kind"), GIVING_AWAY)
def test_a_label_that_gives_the_patient_away_is_refused_without_its_value(
    site: Site, admin: Account, waiting: dict[str, Any], wish: Wish, which: str, kind: str
) -> None:
    for ask in (prearchive.archive, prearchive.foresee):
        with pytest.raises(Rejected) as error:
            ask(site, admin, place_of(waiting), wish)
        assert error.value.code == "label_identifies"
        assert f"The {which} label" in error.value.sentence
        assert kind in error.value.sentence
        told = f"{error.value.sentence} {error.value.hint} {error.value.data}".lower()
        assert not any(label and label.lower() in told for label in (wish.subject_label, wish.session_label))
    assert prearchive.session(site, admin, place_of(waiting))["state"] == "READY"


def test_other_labels_are_written_by_the_lines_that_wrote_the_first(
    site: Site, admin: Account, waiting: dict[str, Any]
) -> None:
    answer = archived(site, admin, place_of(waiting), Wish(subject_label="Trial7", session_label="Trial7_MR1"))
    assert answer["outcome"] == "complete", answer["verdict"]
    assert [(s["subject"], s["session"]) for s in answer["sessions"]] == [("Trial7", "Trial7_MR1")]
    outputs = [pydicom.dcmread(path) for path in site.settings.archive_path.rglob("*.dcm")]
    assert len(outputs) == 6
    assert {(str(each.PatientName), each.PatientID) for each in outputs} == {("Trial7", "Trial7")}
    for path in site.settings.archive_path.rglob("*"):
        assert path.is_dir() or not any(word in path.read_bytes() for word in PLANTED)
    assert_sound(site)


def test_an_archived_session_is_judged_by_the_same_digests(site: Site, admin: Account, waiting: dict[str, Any]) -> None:
    archived(site, admin, place_of(waiting))
    with site.catalog.read() as connection:
        number = connection.execute(sa.select(sessions.c.id).where(sessions.c.state == "ARCHIVED")).scalar_one()
        session = get(connection, number)
        assert session is not None
        refuse_identifying(site, connection, session, "Trial7", "Trial7_MR1")
        refuse_identifying(site, connection, session, session["subject_label"], None)
        with pytest.raises(Rejected) as error:
            refuse_identifying(site, connection, session, "Trial7", "OFARRELL")
        assert error.value.code == "label_identifies"


def test_one_file_of_a_session_says_enough(site: Site, admin: Account) -> None:
    basic(site, code=0)
    folder = session_folder(site.settings.inbox_path / "P" / "visit", files=4, PatientID="WOODS77")
    path = folder / "s1-3.dcm"
    dataset = pydicom.dcmread(path)
    dataset.AccessionNumber = "ONLYHERE77"
    save(dataset, path)
    place = place_of(imported(site, admin, folder))
    with pytest.raises(Rejected) as error:
        prearchive.archive(site, admin, place, Wish(session_label="onlyhere77"))
    assert error.value.code == "label_identifies"


def test_a_session_that_was_imported_before_digests_were_kept_keeps_its_labels(
    site: Site, admin: Account, waiting: dict[str, Any]
) -> None:
    with site.catalog.write() as connection:
        first = sa.select(sa.func.min(ledger.c.id)).scalar_subquery()
        connection.execute(sa.update(ledger).where(ledger.c.id == first).values(digested=None))
    for wish in (Wish(session_label="Trial7"), Wish(subject_label="Trial7")):
        with pytest.raises(Rejected) as error:
            prearchive.archive(site, admin, place_of(waiting), wish)
        assert error.value.code == "label_unproven"
    own = waiting["sessions"][0]
    wish = Wish(subject_label=own["subject"], session_label=own["session"])
    assert archived(site, admin, place_of(waiting), wish)["outcome"] == "complete"


def test_digests_of_another_secret_prove_nothing(site: Site, admin: Account, waiting: dict[str, Any]) -> None:
    with site.catalog.write() as connection:
        connection.execute(sa.update(identifier_digests).values(key_id="0" * 16))
    with pytest.raises(Rejected) as error:
        prearchive.archive(site, admin, place_of(waiting), Wish(session_label="Trial7"))
    assert error.value.code == "label_key_changed"
    assert "secret.key" in error.value.hint


def test_what_is_kept_says_nothing_and_nobody_is_told(site: Site, admin: Account, waiting: dict[str, Any]) -> None:
    rows = stored(site)
    assert {row["key_id"] for row in rows} == {site.secret.key_id}
    assert 20 < len(rows) < 200
    assert not any(word.decode().lower() in str(rows).lower() for word in PLANTED)
    (session,) = waiting["sessions"]
    told = str(requests.request_json(site, waiting["id"], admin)) + str(session)
    told += str(list(requests.ledger_rows(site, waiting["id"], admin)))
    assert not any(row["digest"] in told for row in rows)
    again = imported(site, admin, visit(site.settings.inbox_path / "P" / "again"))
    others = {row["digest"] for row in stored(site) if row["request_id"] == again["id"]}
    assert others
    assert others.isdisjoint(row["digest"] for row in rows)


def test_under_policy_none_nothing_is_kept(site: Site, admin: Account) -> None:
    imported(site, admin, session_folder(site.settings.inbox_path / "P" / "visit"))
    assert stored(site) == []


def test_nothing_is_kept_of_what_became_no_session(site: Site, admin: Account) -> None:
    basic(site)
    request_id = file(site, admin, visit(site.settings.inbox_path / "P" / "visit"))
    steps.run_step(site, request_id, "anonymize", run_id="run")
    assert stored(site)
    requests.cancel(site, admin, request_id)
    with pytest.raises(Cancelled):
        steps.run_step(site, request_id, "archive", run_id="run")
    assert stored(site) == []
    requests.retry(site, admin, request_id)
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="again")
    assert requests.request_json(site, request_id, admin)["outcome"] == "complete"
    assert stored(site)


def test_digests_go_when_the_session_is_deleted_for_good(site: Site, admin: Account, waiting: dict[str, Any]) -> None:
    prearchive.delete(site, admin, place_of(waiting))
    assert stored(site)
    assert empty_trash(site, dt.datetime.now(dt.UTC) + 2 * KEPT) == 1
    with site.catalog.read() as connection:
        state = connection.execute(sa.select(sessions.c.state)).scalar_one()
    assert (state, stored(site)) == ("DELETED", [])


def test_a_restored_session_is_judged_as_before(site: Site, admin: Account, waiting: dict[str, Any]) -> None:
    undo.undo(site, admin, waiting["id"])
    undo.restore(site, admin, waiting["id"])
    with pytest.raises(Rejected) as error:
        prearchive.archive(site, admin, place_of(waiting), Wish(session_label="OFARRELL"))
    assert error.value.code == "label_identifies"
    assert archived(site, admin, place_of(waiting), Wish(session_label="Trial7"))["outcome"] == "complete"


def test_a_worker_that_dies_anywhere_leaves_digests_of_every_file(site: Site, admin: Account) -> None:
    basic(site, code=0)
    crash_at = 0
    while True:
        place = site.settings.inbox_path / "P" / f"v{crash_at}"
        folder = session_folder(place, study=crash_at + 1, PatientID="WOODS77")
        request_id = file(site, admin, folder)
        try:
            attempt(site, request_id, "first", crash_at)
        except Crash:
            bury(site, request_id)
            attempt(site, request_id, "second", None)
        else:
            break
        made = place_of(requests.request_json(site, request_id, admin))
        with pytest.raises(Rejected) as error:
            prearchive.archive(site, admin, made, Wish(session_label="woods77"))
        assert error.value.code == "label_identifies", crash_at
        crash_at += 3
    assert crash_at > 15


def test_no_route_reads_the_table() -> None:
    """Only the module of its queries names it."""
    package = Path(prearchive.__file__).parents[1]
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "identifier_digests" in path.read_text() and "migrations" not in path.parts
    }
    assert users == {"store/catalog/schema.py", "store/catalog/digests.py"}
    assert identifier_digests.name in metadata.tables
