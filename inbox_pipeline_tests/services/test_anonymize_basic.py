"""The command `anonymize` under policy basic: the bytes of an import, several processes, maps, what is held."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner, Result
from pydicom import Dataset

from inbox_pipeline.cli import main
from inbox_pipeline.services import projects, scripts
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.secret import new_secret
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.identifying import OPTIONS, PLANTED, WHO, basic, originals, uids, visit
from inbox_pipeline_tests.services.importing import archived, imported, item

PROJECT_SCRIPT = 'version "6.3"\n(0008,0070) := "PROJECT SCRIPT"\n(0008,1030) := concatenate[subject, session]\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return visit(tmp_path / "in")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    new_secret(tmp_path / "s.key")
    return tmp_path / "s.key"


def anonymize(source: Path, target: Path, secret: Path, *options: object) -> Result:
    given = ("--policy", "basic", "--secret-file", secret, "--report", target.with_suffix(".jsonl"), *options)
    return CliRunner().invoke(main, [str(argument) for argument in ("anonymize", source, target, *given)])


def rows(target: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in target.with_suffix(".jsonl").read_text().splitlines()]


def tree(target: Path) -> dict[str, bytes]:
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def mapped(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id_old"]: row["id_new"] for row in csv.DictReader(file)}


def by_uid(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.rglob("*.dcm")}


def test_the_bytes_are_those_of_an_import_without_stored_scripts(site: Site, admin: Account, tmp_path: Path) -> None:
    basic(site)
    projects.set_site(site, "admin", script_enabled=False)
    folder = visit(site.settings.inbox_path / "P" / "visit")
    (session,) = imported(site, admin, folder)["sessions"]
    options = ("--site-script", "none", "--options", OPTIONS, "--project", "P")
    assert anonymize(folder, tmp_path / "out", site.settings.secret_file, *options).exit_code == 0
    made = tree(tmp_path / "out")
    assert {name.split("/")[-1]: data for name, data in made.items()} == by_uid(site.settings.archive_path)
    assert {tuple(name.split("/")[:2]) for name in made} == {(session["subject"], session["session"])}


def test_with_scripts_only_their_record_differs_from_an_import(site: Site, admin: Account, tmp_path: Path) -> None:
    basic(site)
    scripts.store_script(site, "admin", PROJECT_SCRIPT, "P")
    folder = visit(site.settings.inbox_path / "P" / "visit")
    imported(site, admin, folder)
    (tmp_path / "p.das").write_text(PROJECT_SCRIPT)
    options = ("--script", tmp_path / "p.das", "--project", "P")
    assert anonymize(folder, tmp_path / "out", site.settings.secret_file, *options).exit_code == 0
    made = {path.name: pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")}
    assert len(made) == 6
    for dataset in archived(site):
        assert without_scripts(dataset) == made[f"{dataset.SOPInstanceUID}.dcm"]


def without_scripts(dataset: Dataset) -> Dataset:
    codes = dataset.DeidentificationMethodCodeSequence
    assert [code.CodeValue for code in codes[:2]] == ["1", "2"]
    del codes[:2]
    return dataset


def test_several_processes_write_the_same_tree(source: Path, secret: Path, tmp_path: Path) -> None:
    visit(source / "second", 2)
    visit(source / "third", 3, PatientID="MRN0000999", PatientName="ANOTHER^PERSON")
    one, two = tmp_path / "one", tmp_path / "two"
    assert anonymize(source, one, secret, "--jobs", "1").exit_code == 0
    assert anonymize(source, two, secret, "--jobs", "2").exit_code == 0
    assert tree(one) == tree(two)
    assert rows(one) == rows(two)
    assert len(tree(one)) == 18


def test_nothing_identifies_in_outputs_reports_and_messages(source: Path, secret: Path, tmp_path: Path) -> None:
    done = anonymize(source, tmp_path / "out", secret)
    assert done.exit_code == 0
    for name, data in tree(tmp_path / "out").items():
        assert not [word for word in PLANTED if word in data + name.encode()]
    report = tmp_path / "out.jsonl"
    assert not [word for word in PLANTED if word in report.read_bytes() + done.output.encode()]


def test_a_row_has_the_ledgers_members_and_what_was_found(source: Path, secret: Path, tmp_path: Path) -> None:
    anonymize(source, tmp_path / "out", secret)
    for row in rows(tmp_path / "out"):
        assert (row["disposition"], row["reason"], row["warnings"], row["identifiers"]) == (
            "archived",
            "archived",
            0,
            0,
        )
        assert {"source_path", "bytes", "source_sha256", "archived_sha256", "deleted_at", "project"} <= row.keys()


def test_options_decide_what_stays(source: Path, secret: Path, tmp_path: Path) -> None:
    assert anonymize(source, tmp_path / "out", secret, "--options", "none").exit_code == 0
    for dataset in originals(tmp_path / "out"):
        assert dataset.LongitudinalTemporalInformationModified == "REMOVED"
        assert dataset.get("PatientSex", "") == ""
    refused = anonymize(source, tmp_path / "other", secret, "--options", "retain-everything")
    assert (refused.exit_code, refused.stdout) == (7, "")
    assert "[parameter_invalid]" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_maps_are_complete_and_private(source: Path, secret: Path, tmp_path: Path) -> None:
    maps = tmp_path / "uids.csv", tmp_path / "patients.csv"
    anonymize(source, tmp_path / "out", secret, "--uid-map", maps[0], "--patient-map", maps[1])
    pairs, patients = map(mapped, maps)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in maps)
    assert maps[0].read_text().splitlines()[0] == "id_old,id_new"
    assert uids(originals(source)) <= pairs.keys()
    assert uids(originals(tmp_path / "out")) <= set(pairs.values())
    assert patients == {WHO["PatientID"]: originals(tmp_path / "out")[0].PatientID}


def test_a_held_file_is_told_and_not_written(source: Path, secret: Path, tmp_path: Path) -> None:
    script = tmp_path / "s.das"
    script.write_text('version "6.3"\n(0020,0013) = "2" ? (0018,1030) := (0008,0050)\n')
    done = anonymize(source, tmp_path / "out", secret, "--script", script)
    assert done.exit_code == 3
    (held,) = (row for row in rows(tmp_path / "out") if row["disposition"] == "held")
    assert (held["reason"], held["source_path"], held["archived_path"]) == ("identifier_found", "s1-2.dcm", None)
    assert str(held["detail"]).startswith("(0018,1030)")
    assert len(tree(tmp_path / "out")) == 5
    assert (source / "s1-2.dcm").exists()


@pytest.mark.parametrize("label", [("--subject", "OFarrell"), ("--session", "MRN-447-1122"), ("--subject", "19500311")])
def test_a_label_that_identifies_writes_nothing(
    source: Path, secret: Path, tmp_path: Path, label: tuple[str, str]
) -> None:
    done = anonymize(source, tmp_path / "out", secret, *label)
    assert done.exit_code == 4
    assert {row["reason"] for row in rows(tmp_path / "out")} == {"label_identifies"}
    assert not (tmp_path / "out").exists()


def test_without_a_usable_secret_nothing_is_written(source: Path, tmp_path: Path) -> None:
    exposed, malformed = tmp_path / "exposed", tmp_path / "malformed"
    exposed.write_text("ab" * 32)
    exposed.chmod(0o644)
    malformed.write_text("ab" * 31)
    malformed.chmod(0o600)
    for path, code in (
        (tmp_path / "none", "secret_missing"),
        (exposed, "secret_exposed"),
        (malformed, "secret_malformed"),
    ):
        done = anonymize(source, tmp_path / "out", path)
        assert (done.exit_code, done.stdout) == (7, "")
        assert f"[{code}]" in done.stderr
        assert not (tmp_path / "out").exists()
    assert "inbox-pipeline secret new FILE" in anonymize(source, tmp_path / "out", malformed).stderr


def test_two_secrets_have_nothing_in_common(source: Path, secret: Path, tmp_path: Path) -> None:
    new_secret(tmp_path / "t.key")
    for name, key in (("one", secret), ("two", tmp_path / "t.key")):
        assert anonymize(source, tmp_path / name, key).exit_code == 0
    one, two = (originals(tmp_path / name) for name in ("one", "two"))
    assert not uids(one) & uids(two)
    assert {str(d.PatientName) for d in one}.isdisjoint(str(d.PatientName) for d in two)


def test_strict_identifiers_hold_under_policy_none(tmp_path: Path, secret: Path) -> None:
    source = session_folder(tmp_path / "in", files=1, StudyDescription="MRI", ReferringPhysicianName="QUACKENBUSH^H")
    script = tmp_path / "s.das"
    script.write_text('version "6.3"\n(0018,1030) := "as Quackenbush said"\n(0010,0010) := "A1"\n(0010,0020) := "A2"\n')
    options = ("--policy", "none", "--script", script)
    assert anonymize(source, tmp_path / "one", secret, *options).exit_code == 0
    assert [row["identifiers"] for row in rows(tmp_path / "one")] == [2]
    assert anonymize(source, tmp_path / "two", secret, *options, "--strict-identifiers").exit_code == 4
    assert [row["reason"] for row in rows(tmp_path / "two")] == ["identifier_found"]


def test_items_of_references_to_other_studies_are_mapped(source: Path, secret: Path, tmp_path: Path) -> None:
    path = source / "s1-1.dcm"
    dataset = pydicom.dcmread(path)
    dataset.ReferencedStudySequence = [item(ReferencedSOPInstanceUID="1.2.3.4.5.6.777")]
    dataset.save_as(path)
    maps = tmp_path / "uids.csv"
    anonymize(source, tmp_path / "out", secret, "--uid-map", maps)
    assert mapped(maps)["1.2.3.4.5.6.777"].startswith("2.25.")
