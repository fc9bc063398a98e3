"""Policy basic in imports: what comes out, what is held, and that it depends on the secret and on nothing else."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import shutil
import uuid
from collections import Counter
from pathlib import Path

import pydicom
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script import BASIC_SITE_SCRIPT, DEFAULT_SITE_SCRIPT
from inbox_pipeline.services import projects, queue, requests, scripts, steps
from inbox_pipeline.services.accounts import Account, get_account
from inbox_pipeline.services.projects import create_project
from inbox_pipeline.services.site import Site, init_site, open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import requests as rows_of
from inbox_pipeline.store.catalog.schema import request_sessions, sessions
from inbox_pipeline.store.catalog.scripts import text_digest
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.identifying import OPTIONS, PLANTED, WHO, basic, identifying, originals, uids, visit
from inbox_pipeline_tests.services.importing import (
    archived,
    file,
    imported,
    ledger,
    unresolved,
)

SUBJECT, SESSION = re.compile(r"P-[0-9A-Z]{6}-[0-9A-Z]{6}"), re.compile(r"S-[0-9A-Z]{6}-[0-9A-Z]{6}")


@pytest.fixture
def folder(site: Site) -> Path:
    basic(site)
    return visit(site.settings.inbox_path / "P" / "visit")


def files(root: Path) -> dict[str, bytes]:
    """What lies in a tree, by path below its session: labels, and the folder that a timestamp names, are left out."""
    return {"/".join(path.parts[-4:]): path.read_bytes() for path in root.rglob("*.dcm")}


def another_site(home: Path, secret: Path | None = None) -> tuple[Site, Account]:
    """A site of its own, with its own secret or a copy of another's."""
    if secret is not None:
        home.mkdir()
        shutil.copy2(secret, home / "secret.key")
    made = init_site(read_settings({}, home=home))
    scripts.ensure_default_script(made)
    from inbox_pipeline.services.accounts import create_user

    create_user(made, "system", "admin", "a good password", admin=True)
    create_project(made, "admin", "P")
    account = get_account(made, "admin")
    assert account is not None
    return made, account


def test_nothing_of_the_patient_is_left_and_everything_is_marked(site: Site, admin: Account, folder: Path) -> None:
    answer = imported(site, admin, folder)
    assert (answer["outcome"], answer["files"]["by_disposition"]) == ("complete", {"archived": 6})
    for path in site.settings.archive_path.rglob("*"):
        assert not any(word.decode() in str(path) for word in PLANTED)
        if path.is_file():
            assert [word for word in PLANTED if word in path.read_bytes()] == []
    for dataset in archived(site):
        assert dataset.preamble == b"\0" * 128
        assert "SourceApplicationEntityTitle" not in dataset.file_meta
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert (dataset.PatientIdentityRemoved, dataset.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
        codes = [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence]
        assert codes == ["1", "113100", "113104", "113105", "113107", "113108", "113111"]
        assert {"113100", "113107"} <= {c.CodeValue for c in dataset.DeidentificationMethodCodeSequence}
        assert (dataset.PatientSex, dataset.PatientAge) == ("F", "090Y")
        assert "MPRAGE" in dataset.ProtocolName
        assert dataset.PatientName == answer["sessions"][0]["subject"]
    rows = ledger(site, admin, answer["id"]).values()
    assert {row["identifiers"] for row in rows} == {0}


def test_labels_paths_and_rows_are_pseudonyms(site: Site, admin: Account, folder: Path) -> None:
    answer = imported(site, admin, folder)
    (session,) = answer["sessions"]
    assert SUBJECT.fullmatch(session["subject"])
    assert SESSION.fullmatch(session["session"])
    with site.catalog.read() as connection:
        (kept,) = connection.execute(sa.select(sessions)).mappings()
        (planned,) = connection.execute(sa.select(request_sessions)).mappings()
    assert (kept["policy"], kept["options"]) == ("basic", OPTIONS)
    assert [each["scope"] for each in kept["scripts"]] == ["site"]
    assert (planned["subject_rule"], planned["session_rule"]) == ("pseudonym", "pseudonym")
    assert not any(word in str(dict(kept) | dict(planned)).encode() for word in PLANTED)


def test_chosen_labels_are_kept_as_given(site: Site, admin: Account, folder: Path) -> None:
    (session,) = imported(site, admin, folder, SUBJECT_ID="Trial7", EXPT_LABEL="Visit_1")["sessions"]
    assert (session["subject"], session["session"]) == ("Trial7", "Visit_1")
    assert {str(dataset.PatientName) for dataset in archived(site)} == {"Trial7"}


def test_assigned_labels_are_kept_as_given(site: Site, admin: Account) -> None:
    basic(site)
    folder = visit(site.settings.inbox_path / "P" / "said", PatientComments="Subject:T7;Session:V1")
    (session,) = imported(site, admin, folder)["sessions"]
    assert (session["subject"], session["session"]) == ("T7", "V1")


@pytest.mark.parametrize(
    "given",
    [
        {"EXPT_LABEL": "mrn_4471122"},
        {"SUBJECT_ID": "Siobhan_OFarrell"},
        {"SUBJECT_ID": "OFarrell"},
        {"EXPT_LABEL": "ACC5550123"},
        {"SUBJECT_ID": "OLDMRN99887"},
        {"SUBJECT_ID": "19500311"},
    ],
)
def test_a_chosen_label_that_identifies_holds_the_session_before_any_byte(
    site: Site, admin: Account, folder: Path, given: dict[str, str]
) -> None:
    request_id = file(site, admin, folder, **given)
    steps.run_step(site, request_id, "anonymize", run_id="run")
    assert not [path for path in site.settings.staging_path.rglob("*") if path.is_file()]
    steps.run_step(site, request_id, "archive", run_id="run")
    assert requests.request_json(site, request_id, admin)["outcome"] == "failed"
    rows = ledger(site, admin, request_id)
    assert {(row["disposition"], row["reason"]) for row in rows.values()} == {("held", "label_identifies")}
    assert not [path for path in site.settings.archive_path.rglob("*") if path.is_file()]
    assert len(list(folder.iterdir())) == 6


def test_an_assigned_label_that_identifies_holds_the_session(site: Site, admin: Account) -> None:
    basic(site)
    folder = visit(site.settings.inbox_path / "P" / "said", PatientComments="Subject:OFarrell")
    answer = imported(site, admin, folder)
    assert (answer["outcome"], answer["files"]["by_reason"]) == ("failed", {"label_identifies": 6})


def test_one_file_that_a_label_gives_away_holds_its_whole_session(site: Site, admin: Account, folder: Path) -> None:
    first = folder / "s1-1.dcm"
    dataset = pydicom.dcmread(first)
    dataset.AccessionNumber = "ONLYHERE77"
    save(dataset, first)
    answer = imported(site, admin, folder, EXPT_LABEL="ONLYHERE77")
    assert answer["files"]["by_reason"] == {"label_identifies": 6}


def test_both_roads_give_the_same_bytes_with_both_scripts(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,0070) := "PROJECT SCRIPT"\n', "P")
    imported(site, admin, folder, EXPT_LABEL="same")
    automatic = files(site.settings.archive_path)
    basic(site, code=0)
    answer = imported(site, admin, again(folder), EXPT_LABEL="other", SUBJECT_ID="")
    assert answer["files"]["by_disposition"] == {"prearchived": 6}
    for dataset in [pydicom.dcmread(path) for path in site.settings.prearchive_path.rglob("*.dcm")]:
        assert dataset.Manufacturer == "PROJECT SCRIPT"
        assert [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence][:2] == ["1", "2"]
    assert set(files(site.settings.prearchive_path)) == set(automatic)


def test_a_manual_and_an_automatic_project_give_the_same_bytes(site: Site, admin: Account, tmp_path: Path) -> None:
    """Two sites with one secret, so that project and labels are equal, too."""
    basic(site)
    visit(site.settings.inbox_path / "P" / "visit")
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,0070) := "PROJECT SCRIPT"\n', "P")
    assert imported(site, admin, site.settings.inbox_path / "P" / "visit")["outcome"] == "complete"
    other, account = another_site(tmp_path / "other", site.settings.secret_file)
    basic(other, code=0)
    scripts.store_script(other, "admin", 'version "6.3"\n(0008,0070) := "PROJECT SCRIPT"\n', "P")
    answer = imported(other, account, visit(other.settings.inbox_path / "P" / "visit"))
    assert answer["files"]["by_disposition"] == {"prearchived": 6}
    assert files(other.settings.prearchive_path) == files(site.settings.archive_path)
    (here,) = (path.name for path in site.settings.archive_path.glob("P/arc001/*"))
    (there,) = (path.name for path in other.settings.prearchive_path.glob("P/*/*") if path.is_dir())
    assert here == there
    other.catalog.dispose()


def test_one_project_gives_the_same_bytes_whichever_road_it_is_set_to(site: Site, admin: Account, folder: Path) -> None:
    (first,) = imported(site, admin, folder)["sessions"]
    basic(site, code=0)
    (second,) = imported(site, admin, folder)["sessions"]
    assert (first["state"], second["state"], second["reason"]) == ("ARCHIVED", "CONFLICT", "session_exists")
    assert files(site.settings.prearchive_path) == files(site.settings.archive_path)
    assert (second["subject"], second["session"]) == (first["subject"], first["session"])


def again(folder: Path) -> Path:
    other = folder.with_name("again")
    shutil.copytree(folder, other)
    return other


def test_two_secrets_have_no_uid_nor_label_in_common(site: Site, admin: Account, folder: Path, tmp_path: Path) -> None:
    first = imported(site, admin, folder)
    other, account = another_site(tmp_path / "other")
    basic(other)
    second = imported(other, account, visit(other.settings.inbox_path / "P" / "visit"))
    made, remade = uids(archived(site)), uids(archived(other))
    assert len(made) == len(remade) > 10
    assert not made & remade
    for name in ("subject", "session"):
        assert first["sessions"][0][name] != second["sessions"][0][name]
    other.catalog.dispose()


def test_two_projects_of_a_site_cannot_be_linked(site: Site, admin: Account, folder: Path) -> None:
    imported(site, admin, folder)
    create_project(site, "admin", "Q")
    basic(site, "Q")
    pairs = [("path", str(folder)), ("PROJECT_ID", "Q")]
    request_id = requests.file_request(site, admin, pairs).request_id
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run-q")
    trees = [originals(site.settings.archive_path / project) for project in ("P", "Q")]
    assert all(trees)
    assert not uids(trees[0]) & uids(trees[1])
    assert {str(d.PatientName) for d in trees[0]}.isdisjoint(str(d.PatientName) for d in trees[1])


def test_no_uid_can_be_computed_without_the_secret(site: Site, admin: Account, folder: Path) -> None:
    before = uids(originals(folder))
    imported(site, admin, folder)
    made = uids(archived(site))
    assert all(re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", uid) for uid in made)
    assert not before & made
    assert not guesses(before) & made


def guesses(known: set[str]) -> set[str]:
    """What someone without the secret could compute from original UIDs."""
    from pydicom.uid import generate_uid

    made: set[str] = set()
    for uid in known:
        for name in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(name, uid.encode()).digest()
            number = int.from_bytes(digest[:16], "big")
            versions = [number, int.from_bytes(digest[:15], "big"), uuid.UUID(bytes=digest[:16], version=5).int]
            made.update(f"2.25.{each}" for each in (*versions, uuid.UUID(int=uuid8(number)).int))
        made.update(f"2.25.{uuid.uuid5(space, uid).int}" for space in (uuid.NAMESPACE_OID, uuid.NAMESPACE_URL))
        made.update(f"2.25.{uuid.uuid3(space, uid).int}" for space in (uuid.NAMESPACE_OID, uuid.NAMESPACE_URL))
        made.add(generate_uid(prefix="2.25.", entropy_srcs=[uid]))
    return made


def uuid8(number: int) -> int:
    return number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62


def test_a_restarted_attempt_and_a_retry_give_the_same_bytes(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder)
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    staged = {path.name: path.read_bytes() for path in site.settings.staging_path.rglob("*.dcm")}
    with site.catalog.write() as connection:
        rows_of.update(connection, request_id, lease_until=1.0)
    (lost,) = queue.expired(site)
    assert queue.requeue(site, lost) == "queued"
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run-2")
    assert {path.name: path.read_bytes() for path in site.settings.archive_path.rglob("*.dcm")} == staged
    assert len(staged) == 6


def test_references_resolve_as_before(site: Site, admin: Account, folder: Path) -> None:
    assert unresolved(originals(folder)) == set()
    imported(site, admin, folder)
    assert unresolved(archived(site)) == set()


def test_references_follow_a_script_and_the_profile_leaves_them(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,0018) := hashUID[(0008,0018)]\n')
    imported(site, admin, folder)
    made = archived(site)
    assert unresolved(made) == set()
    assert not any(dataset.SOPInstanceUID.startswith("2.25.") and len(dataset.SOPInstanceUID) < 20 for dataset in made)


def test_patients_stay_apart_and_their_intervals_stay(site: Site, admin: Account) -> None:
    basic(site)
    root = site.settings.inbox_path / "P" / "all"
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,1030) := project\n')
    for study in (1, 2):
        visit(root / str(study), study, AcquisitionDateTime=f"2020010{study}101010")
    visit(root / "3", 3, PatientID="MRN0000999", PatientName="ANOTHER^PERSON")
    answer = imported(site, admin, root)
    assert (answer["outcome"], len(answer["sessions"])) == ("complete", 3)
    after: dict[str, set[tuple[str, str]]] = {}
    for dataset in archived(site):
        after.setdefault(dataset.PatientID, set()).add((dataset.StudyDate, str(dataset.get("AcquisitionDateTime"))))
    assert sorted(map(len, after.values())) == [1, 2]
    days = sorted(day(date) for date, _ in max(after.values(), key=len))
    assert (days[1] - days[0]).days == 1
    assert 1 <= (dt.date(2020, 1, 2) - days[0]).days <= 365
    subjects = Counter(session["subject"] for session in answer["sessions"])
    assert sorted(subjects.values()) == [1, 2]


def day(text: str) -> dt.date:
    return dt.datetime.strptime(text, "%Y%m%d").replace(tzinfo=dt.UTC).date()


KEEPING = """version "6.3"
(0008,0080) := "OUR SITE"
(0018,1000) := "SERIAL-1"
(0040,0275)[0]/(0032,1060) := "PROCEDURE Zyxxy"
(0029,{FAKE MAKER}01) := "KEPT"
- (0010,0040)
"""


def test_studies_of_a_patient_keep_one_patient_id(site: Site, admin: Account) -> None:
    """XNAT's default script makes PatientID the session's label; under basic its stand-in keeps studies together."""
    basic(site)
    folder = visit(site.settings.inbox_path / "P" / "visits" / "1").parent
    visit(folder / "2", study=2)
    assert imported(site, admin, folder)["outcome"] == "complete"
    datasets = archived(site)
    assert len({dataset.StudyInstanceUID for dataset in datasets}) == 2
    assert {(str(d.PatientName), d.PatientID) for d in datasets} == {(datasets[0].PatientID,) * 2}
    assert SUBJECT.fullmatch(datasets[0].PatientID)
    with site.catalog.read() as connection:
        (digests,) = {s[0]["digest"] for s in connection.execute(sa.select(sessions.c.scripts)).scalars()}
    assert digests == text_digest(BASIC_SITE_SCRIPT)


def test_a_site_script_of_ones_own_is_not_replaced(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", f"{DEFAULT_SITE_SCRIPT}// ours\n")
    assert imported(site, admin, folder)["outcome"] == "complete"
    assert all(SESSION.fullmatch(dataset.PatientID) for dataset in archived(site))


def test_what_a_script_decided_stays(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", KEEPING, "P")
    answer = imported(site, admin, folder)
    assert answer["outcome"] == "complete", answer["files"]
    for dataset in archived(site):
        assert (dataset.InstitutionName, dataset.DeviceSerialNumber) == ("OUR SITE", "SERIAL-1")
        assert dataset.RequestAttributesSequence[0].RequestedProcedureDescription == "PROCEDURE Zyxxy"
        assert dataset.RequestAttributesSequence[0].get("RequestingPhysician", "") == ""
        assert dataset[0x0029, 0x0010].value == "FAKE MAKER"
        assert dataset[0x0029, 0x1001].value in ("KEPT", b"KEPT")
        assert "PatientSex" not in dataset


def test_what_a_script_puts_back_holds_the_file(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0020,0013) = "2" ? (0018,1030) := (0008,0050)\n', "P")
    answer = imported(site, admin, folder, cleanupAfterImport="true")
    assert (answer["outcome"], answer["files"]["by_reason"]) == ("partial", {"archived": 5, "identifier_found": 1})
    row = ledger(site, admin, answer["id"])["s1-2.dcm"]
    assert (row["disposition"], row["archived_path"]) == ("held", None)
    assert row["detail"].startswith("(0018,1030)")
    assert not any(word in row["detail"].encode() for word in PLANTED)
    assert [path.name for path in folder.iterdir()] == ["s1-2.dcm"]
    assert not list(site.settings.staging_path.rglob("*.part"))


def test_under_policy_none_identifiers_are_counted(site: Site, admin: Account) -> None:
    projects.set_project(site, "admin", "P", policy="none")
    folder = visit(site.settings.inbox_path / "P" / "visit")
    answer = imported(site, admin, folder)
    assert answer["outcome"] == "complete"
    assert all(row["identifiers"] > 0 for row in ledger(site, admin, answer["id"]).values())
    with site.catalog.read() as connection:
        (findings,) = connection.execute(sa.select(request_sessions.c.findings)).scalars()
    assert {"code": "identifiers_left", "count": 6} in findings


def test_strict_identifiers_hold_under_policy_none(site: Site, admin: Account) -> None:
    projects.set_project(site, "admin", "P", policy="none", strict_identifiers=True)
    folder = visit(site.settings.inbox_path / "P" / "visit")
    answer = imported(site, admin, folder)
    assert (answer["outcome"], answer["files"]["by_reason"]) == ("failed", {"identifier_found": 6})
    assert not list(site.settings.archive_path.rglob("*.dcm"))
    assert len(list(folder.iterdir())) == 6


def test_a_file_without_identifiers_is_not_held_where_they_are_strict(site: Site, admin: Account) -> None:
    projects.set_project(site, "admin", "P", policy="none", strict_identifiers=True)
    scripts.store_script(site, "admin", 'version "6.3"\n(0010,0010) := "A1"\n(0010,0020) := "A2"\n')
    folder = session_folder(site.settings.inbox_path / "P" / "plain", StudyDescription="MRI")
    answer = imported(site, admin, folder)
    assert (answer["outcome"], answer["files"]["by_disposition"]) == ("complete", {"archived": 3})


def test_an_attempt_keeps_the_policy_with_which_it_began(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder)
    steps.run_step(site, request_id, "scan", run_id="run-1")
    projects.set_project(site, "admin", "P", policy="none")
    for step in steps.STEPS[1:]:
        steps.run_step(site, request_id, step, run_id="run-1")
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(sessions.c.policy, sessions.c.options)).one() == ("basic", OPTIONS)
    assert {dataset.PatientIdentityRemoved for dataset in archived(site)} == {"YES"}


def test_a_policy_switched_on_meanwhile_is_not_undermined_by_what_was_staged(
    site: Site, admin: Account, folder: Path
) -> None:
    projects.set_project(site, "admin", "P", policy="none")
    request_id = file(site, admin, folder)
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    basic(site)
    with site.catalog.write() as connection:
        rows_of.update(connection, request_id, lease_until=1.0)
    (lost,) = queue.expired(site)
    queue.requeue(site, lost)
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run-2")
    with site.catalog.read() as connection:
        (policy,) = connection.execute(sa.select(sessions.c.policy)).scalars()
    marked = {dataset.get("PatientIdentityRemoved") for dataset in archived(site)}
    assert marked == ({"YES"} if policy == "basic" else {None})


def test_prevent_anon_is_refused(site: Site, admin: Account, folder: Path) -> None:
    with pytest.raises(Rejected) as refused:
        file(site, admin, folder, prevent_anon="true")
    assert refused.value.code == "policy_forbids"


def test_prevent_anon_is_refused_when_the_policy_came_after_the_request(
    site: Site, admin: Account, folder: Path
) -> None:
    projects.set_project(site, "admin", "P", policy="none")
    request_id = file(site, admin, folder, prevent_anon="true")
    basic(site)
    with pytest.raises(Rejected) as refused:
        for step in steps.STEPS:
            steps.run_step(site, request_id, step, run_id="run-1")
    assert refused.value.code == "policy_forbids"
    assert not list(site.settings.archive_path.rglob("*.dcm"))


def test_without_its_secret_a_site_does_not_open(site: Site, folder: Path) -> None:
    path = site.settings.secret_file
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(Rejected) as missing:
        open_site(site.settings)
    path.write_text("ab" * 32 + "\n")
    path.chmod(0o600)
    with pytest.raises(Rejected) as changed:
        open_site(site.settings)
    assert (missing.value.code, changed.value.code) == ("secret_missing", "secret_changed")


def test_no_option_at_all_removes_what_options_keep(site: Site, admin: Account, folder: Path) -> None:
    basic(site, options="none")
    answer = imported(site, admin, folder)
    assert answer["outcome"] == "complete"
    for dataset in archived(site):
        assert dataset.LongitudinalTemporalInformationModified == "REMOVED"
        assert [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence] == ["1", "113100"]
        assert dataset.get("PatientSex", "") == ""
        assert "ProtocolName" not in dataset
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(sessions.c.options)).scalar_one() == "none"


def test_a_made_series_and_a_single_image_are_treated_alike(site: Site, admin: Account) -> None:
    basic(site)
    folder = site.settings.inbox_path / "P" / "one"
    save(identifying(instance(**WHO)), folder / "x.dcm")
    answer = imported(site, admin, folder)
    (dataset,) = archived(site)
    assert answer["outcome"] == "complete"
    assert dataset.PixelData == instance().PixelData
