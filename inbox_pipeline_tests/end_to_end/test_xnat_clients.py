"""Unmodified xnatpy and pyxnat against a running `up`: import by inbox, browse to the files, download and compare."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.server_for_tests import Server

pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]

PASSWORD = "correct horse"
Delete = Callable[..., None]
WAYS: list[dict[str, bool]] = [{}, {"extension_types": False}]
POLICIES = {"PLAIN": "none", "BASIC": "basic", "HIDDEN": "basic"}
LABELLED = ["PLAIN", "BASIC"]
"""Projects into which the same folders are imported under the same labels; HIDDEN is for labels that nobody chose."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a user, projects of policy `none` and `basic`, and a project of others."""
    folder = tmp_path_factory.mktemp("clients")
    with Server(folder / "home", folder / "up.log") as running:
        for login in ("ada", "bob"):
            running.command("user", "create", login, "--password-stdin", stdin=PASSWORD)
        for project, policy in POLICIES.items():
            running.command("project", "create", project, "--owner", "ada")
            running.command("project", "set", project, "--policy", policy)
        running.command("project", "create", "OTHER")
        for project in LABELLED:
            fill(Path(running.ready["inbox_path"]) / project)
        for number in (1, 2, 3):
            path = Path(running.ready["inbox_path"]) / "HIDDEN" / "mr" / f"c{number}.dcm"
            save(instance(3, 1, number, SeriesDescription="T1 sag"), path)
        yield running


def fill(folder: Path) -> None:
    """Write a study of two MR series and one of CT."""
    for number in (1, 2, 3):
        save(instance(1, 1, number, SeriesDescription="T1 sag"), folder / "mr" / f"a{number}.dcm")
        save(instance(1, 2, number, SeriesDescription="T2 tra"), folder / "mr" / f"b{number}.dcm")
    save(instance(2, 7, 1, modality="CT", SeriesDescription="Thorax"), folder / "ct" / "d.dcm")


def connected(server: Server, **options: Any) -> Any:
    import xnat

    return xnat.connect(server.ready["url"], user="ada", password=PASSWORD, loglevel="ERROR", **options)


@pytest.fixture(scope="module")
def imported(server: Server) -> Server:
    """The server, once xnatpy has imported the folders by inbox and polled them to their ends."""
    inbox = Path(server.ready["inbox_path"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with connected(server, no_parse_model=True) as session:
            jobs = [
                session.services.import_dicom_inbox(str(inbox / path), project=path.split("/")[0], **labels)
                for path, labels in (
                    *((f"{project}/mr", {"subject": "S1", "experiment": "MR1"}) for project in LABELLED),
                    *((f"{project}/ct", {"subject": "S1", "experiment": "CT1"}) for project in LABELLED),
                    ("HIDDEN/mr", {}),
                )
            ]
            deadline = time.monotonic() + 180
            while not all(job.status in ("Completed", "Failed") for job in jobs):
                assert time.monotonic() < deadline
                time.sleep(0.3)
            assert [job.status for job in jobs] == ["Completed"] * len(jobs)
    return server


def on_disk(server: Server, project: str, label: str, scan: str = "*") -> dict[str, bytes]:
    folders = Path(server.ready["archive_path"]).glob(f"{project}/arc001/{label}/SCANS/{scan}/DICOM")
    return {path.name: path.read_bytes() for folder in folders for path in folder.glob("*.dcm")}


def headers(server: Server, project: str, label: str) -> dict[str, Any]:
    """A header of each scan of a session as it lies on disk, by the scan's id."""
    scans = sorted(Path(server.ready["archive_path"]).glob(f"{project}/arc001/{label}/SCANS/*"))
    return {scan.name: pydicom.dcmread(next(scan.glob("DICOM/*.dcm"))) for scan in scans}


def date_on_disk(server: Server, project: str, label: str) -> str:
    """The study's date as archived: as it was under policy `none`, moved under `basic`."""
    text = headers(server, project, label)["1"].StudyDate
    assert (text == "20200102") is (POLICIES[project] == "none")
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def in_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(("name", "options"), [(name, way) for name in LABELLED for way in WAYS])
def test_xnatpy_browses_to_the_files_and_downloads(
    imported: Server, tmp_path: Path, name: str, options: dict[str, bool]
) -> None:
    with connected(imported, **options) as session:
        assert sorted(session.projects.keys()) == sorted(POLICIES)
        project = session.projects[name]
        subject = project.subjects["S1"]
        assert set(subject.experiments.keys()) == {each.id for each in project.experiments.values()}
        experiment = subject.experiments["MR1"]
        assert (experiment.label, experiment.subject_id, experiment.modality) == ("MR1", subject.id, "MR")
        assert (str(experiment.date), str(experiment.time)) == (date_on_disk(imported, name, "MR1"), "10:10:10")
        assert experiment.insert_date is not None
        assert [(scan.id, scan.type, scan.frames) for scan in experiment.scans] == [
            ("1", "T1 sag", 3),
            ("2", "T2 tra", 3),
        ]
        scan = experiment.scans["T1 sag"]
        resource = scan.resources["DICOM"]
        expected = on_disk(imported, name, "MR1", "1")
        assert (resource.file_count, resource.file_size) == (3, sum(map(len, expected.values())))
        for file_name, content in expected.items():
            file = resource.files[file_name]
            target = tmp_path / file_name
            file.download(str(target), verbose=False)
            assert target.read_bytes() == content
            assert file.verify_digest()
        scan.download(str(tmp_path / "scan.zip"), verbose=False)
        assert in_zip(tmp_path / "scan.zip") == expected
        experiment.download(str(tmp_path / "all.zip"), verbose=False)
        assert in_zip(tmp_path / "all.zip") == on_disk(imported, name, "MR1")
        subject.download_dir(str(tmp_path), verbose=False)
        assert {path.name for path in tmp_path.rglob("S1/*/scans/*/resources/DICOM/files/*")} == set(
            on_disk(imported, name, "MR1") | on_disk(imported, name, "CT1")
        )


@pytest.mark.parametrize("name", LABELLED)
def test_xnatpy_without_a_model_reads_lists(imported: Server, name: str) -> None:
    with connected(imported, no_parse_model=True) as session:
        rows = session.get_json("/data/experiments", query={"columns": "ID,label,xsiType", "project": name})
        found = {(row["label"], row["xsiType"]) for row in rows["ResultSet"]["Result"]}
        assert found == {("MR1", "xnat:mrSessionData"), ("CT1", "xnat:ctSessionData")}


def test_xnatpy_sees_a_session_of_policy_basic_under_pseudonyms(imported: Server) -> None:
    with connected(imported) as session:
        (experiment,) = session.projects["HIDDEN"].experiments.values()
        (scan,) = experiment.scans.values()
        assert "FAKE" not in experiment.label + session.projects["HIDDEN"].subjects[0].label
        assert str(experiment.date) != "2020-01-04"
        dataset = scan.read_dicom()
        assert dataset.StudyInstanceUID == experiment.uid
        assert dataset.StudyDate == f"{experiment.date:%Y%m%d}"
        assert dataset.get("SeriesDescription") == scan.series_description


def test_xnatpy_makes_a_subject_where_its_user_may(imported: Server) -> None:
    with connected(imported) as session:
        made = session.classes.SubjectData(parent=session.projects["PLAIN"], label="MADE")
        assert made.label == "MADE"
        assert session.projects["PLAIN"].subjects["MADE"].id == made.id


@pytest.mark.parametrize("name", LABELLED)
def test_pyxnat_browses_to_the_files_and_downloads(imported: Server, tmp_path: Path, name: str) -> None:
    from pyxnat import Interface

    central = Interface(server=imported.ready["url"], user="ada", password=PASSWORD)
    assert sorted(central.select.projects().get()) == sorted(POLICIES)
    project = central.select.project(name)
    assert project.exists()
    assert not central.select.project("OTHER").exists()
    assert project.prearchive_code() == 4
    assert project.subject("S1").id() in project.subjects().get()
    experiment = project.subject("S1").experiment("MR1")
    assert (experiment.exists(), experiment.datatype()) == (True, "xnat:mrSessionData")
    assert experiment.attrs.get("xnat:mrSessionData/date") == date_on_disk(imported, name, "MR1")
    assert experiment.scans().get() == ["1", "2"]
    assert experiment.xpath("//xnat:scan/@type") == ["T1 sag", "T2 tra"]
    resource = experiment.scan("1").resource("DICOM")
    expected = on_disk(imported, name, "MR1", "1")
    assert sorted(resource.files().get()) == sorted(expected)
    for file_name, content in expected.items():
        file = resource.file(file_name)
        assert file.attributes()["digest"] == hashlib.md5(content).hexdigest()  # noqa: S324
        assert Path(file.get(str(tmp_path / file_name))).read_bytes() == content
    archive = experiment.scans().download(str(tmp_path), type="T1 sag", name="one")
    assert in_zip(Path(archive)) == expected
    central.disconnect()


@pytest.mark.parametrize("name", LABELLED)
def test_pyxnat_lists_experiments_and_scans_of_all_kinds(imported: Server, name: str) -> None:
    from pyxnat import Interface

    central = Interface(server=imported.ready["url"], user="ada", password=PASSWORD)
    found = {row["ID"]: row for row in central.array.experiments(project_id=name).data}
    assert {row["xsiType"] for row in found.values()} == {"xnat:mrSessionData", "xnat:ctSessionData"}
    assert len({row["subject_ID"] for row in found.values()}) == 1
    assert len(central.array.mrsessions(project_id=name).data) == 1
    assert len(central.array.scans(project_id=name).data) == 3
    assert len(central.array.mrscans(project_id=name).data) == 2
    assert len(central.select(f"/projects/{name}/subjects/*/experiments/*/scans/*").get()) == 3
    assert len(central.array.experiments(project_id="OTHER").data) == 0
    central.disconnect()


@pytest.mark.parametrize("name", LABELLED)
def test_pyxnat_searches_and_shows_what_it_has_found(imported: Server, name: str) -> None:
    from pyxnat import Interface

    central = Interface(server=imported.ready["url"], user="ada", password=PASSWORD)
    columns = ["xnat:mrSessionData/SESSION_ID", "xnat:mrSessionData/PROJECT", "xnat:mrSessionData/DATE"]
    where = [("xnat:mrSessionData/PROJECT", "=", name), ("xnat:mrSessionData/DATE", ">", "2018-01-01"), "AND"]
    session = central.select.project(name).subject("S1").experiment("MR1")
    assert [dict(row) for row in central.select("xnat:mrSessionData", columns).where(where).data] == [
        {"session_id": session.id(), "project": name, "date": date_on_disk(imported, name, "MR1")}
    ]
    assert "1 MR experiment" in repr(central.select.project(name))
    assert "S1" in repr(central.select.project(name).subject("S1"))
    assert "MR1" in repr(session)
    central.disconnect()


@pytest.mark.parametrize("name", LABELLED)
def test_xnatpy_searches(imported: Server, name: str) -> None:
    with connected(imported) as session:
        kind = session.classes.MrSessionData
        (found,) = kind.query().filter(kind.label.like("MR%"), kind.project == name).all()
        assert (found.label, found.project) == ("MR1", name)
        assert kind.query().filter(kind.label == "CT1").all() == []
        subject = session.classes.SubjectData
        assert [each.label for each in subject.query().filter(subject.label == "S1").all()] == ["S1"] * 2


@pytest.mark.parametrize("name", LABELLED)
def test_raw_verbs_of_pyxnat(imported: Server, name: str) -> None:
    from pyxnat import Interface

    central = Interface(server=imported.ready["url"], user="ada", password=PASSWORD)
    answer = central.get(f"/data/projects/{name}/experiments/MR1/scans/ALL/files?format=zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert len(archive.namelist()) == 6
    assert central.get("/data/projects/OTHER/experiments").status_code == 404
    assert central.put("/data/projects/NEW").status_code == 403


def test_xnatpy_finds_what_scripts_ask_for(imported: Server) -> None:
    with connected(imported) as session:
        project = session.projects["PLAIN"]
        subject, experiment = project.subjects["S1"], project.experiments["MR1"]
        for thing in (project, subject, experiment):
            assert dict(thing.fields) == {}
        for thing in (subject, experiment):
            assert dict(thing.custom_variables) == {}
        assert (project.description, project.keywords, project.pi.firstname) == (None, None, None)
        assert (subject.demographics.gender, subject.demographics.yob, subject.demographics.age) == (None, None, None)
        assert (experiment.note, experiment.acquisition_site, experiment.scanner) == (None, None, None)
        assert (list(experiment.assessors), list(experiment.reconstructions)) == ([], [])
        scan = experiment.scans["1"]
        assert (scan.quality, scan.note, scan.condition, dict(scan.fields)) == ("usable", None, None, {})
        assert float(session.xnat_uptime["seconds"]) >= 0
        assert dict(session.plugins) == {}


@pytest.mark.parametrize("options", WAYS)
def test_xnatpy_judges_scans_and_writes_notes(imported: Server, options: dict[str, bool]) -> None:
    import xnat

    with connected(imported, **options) as session:
        experiment = session.projects["PLAIN"].experiments["MR1"]
        scan = experiment.scans["2"]
        scan.quality, scan.note, experiment.note = "unusable", "moved & blurred", "seen by <two>"
        with connected(imported) as other:
            seen = other.projects["PLAIN"].experiments["MR1"]
            assert (seen.scans["2"].quality, seen.scans["2"].note) == ("unusable", "moved & blurred")
            assert (seen.note, seen.scans["1"].quality) == ("seen by <two>", "usable")
        columns = ("ID", "quality", "note")
        assert [tuple(row) for row in experiment.scans.tabulate(columns=columns)][1] == (
            "2",
            "unusable",
            "moved & blurred",
        )
        with pytest.raises(xnat.exceptions.XNATResponseError) as caught:
            scan.quality = "fine"
        assert "usable, questionable or unusable" in caught.value.text
        with pytest.raises(xnat.exceptions.XNATResponseError) as caught:
            experiment.fields["visit"] = "2"
        assert "What can be set: note" in caught.value.text
        del scan.quality, scan.note, experiment.note
        assert (scan.quality, scan.note, experiment.note) == ("usable", None, None)


def test_xnatpy_dumps_headers(imported: Server) -> None:
    with connected(imported) as session:
        scan = session.projects["PLAIN"].experiments["MR1"].scans["2"]
        dataset = scan.read_dicom()
        whole = {row["tag1"]: row["value"] for row in scan.dicom_dump()}
        assert whole["(0008,103E)"] == "T2 tra"
        assert whole["(0020,000D)"] == dataset.StudyInstanceUID
        rows = scan.dicom_dump(fields=["SeriesDescription", "00080060"])
        assert [(row["desc"], row["vr"], row["value"]) for row in rows] == [
            ("Modality", "CS", "MR"),
            ("Series Description", "LO", "T2 tra"),
        ]
        assert [row["value"] for row in scan.dicom_dump(fields="Modality")] == ["MR"]


def test_pyxnat_judges_scans_and_writes_notes(imported: Server) -> None:
    from pyxnat import Interface

    central = Interface(server=imported.ready["url"], user="ada", password=PASSWORD)
    experiment = central.select.project("PLAIN").subject("S1").experiment("CT1")
    scan = experiment.scan("7")
    for quality in ("questionable", "usable"):
        scan.attrs.set("xnat:ctScanData/quality", quality)
        assert scan.attrs.get("xnat:ctScanData/quality") == quality
    scan.attrs.mset({"xnat:ctScanData/quality": "unusable", "xnat:ctScanData/note": "cut off"})
    assert scan.attrs.mget(["xnat:ctScanData/quality", "xnat:ctScanData/note"]) == ["unusable", "cut off"]
    experiment.attrs.set("xnat:ctSessionData/note", "seen twice")
    assert experiment.attrs.get("xnat:ctSessionData/note") == "seen twice"
    assert experiment.xpath("/xnat:CTSession/xnat:note/text()") == ["seen twice"]
    answer = central.get("/data/services/dicomdump?src=/archive/projects/PLAIN/experiments/CT1/scans/7&field=Modality")
    assert answer.json()["ResultSet"]["Result"][0]["value"] == "CT"
    central.disconnect()


def listed(server: Server, project: str) -> list[dict[str, Any]]:
    return list(json.loads(server.command("trash", "list", project, "--json").stdout))


@contextmanager
def xnatpy(server: Server, project: str, user: str = "ada") -> Iterator[Delete]:
    """Delete by xnatpy: a scan, a session, the subject, the project, by the number of names that are given."""
    import xnat

    gc.collect()  # a deletion refreshes every listing that is alive, also those of sessions closed by now
    with xnat.connect(server.ready["url"], user=user, password=PASSWORD, loglevel="ERROR") as session:

        def delete(subject: str = "", experiment: str = "", scan: str = "") -> None:
            found = session.projects[project]
            found = found.subjects[subject] if subject else found
            found = found.experiments[experiment] if experiment else found
            (found.scans[scan] if scan else found).delete()

        yield delete


@contextmanager
def pyxnat(server: Server, project: str, user: str = "ada") -> Iterator[Delete]:
    """The same by pyxnat."""
    from pyxnat import Interface

    central = Interface(server=server.ready["url"], user=user, password=PASSWORD)

    def delete(subject: str = "", experiment: str = "", scan: str = "") -> None:
        found = central.select.project(project)
        found = found.subject(subject) if subject else found
        found = found.experiment(experiment) if experiment else found
        found = found.scan(scan) if scan else found
        assert found.exists()
        found.delete()
        assert not found.exists()

    yield delete
    central.disconnect()


def import_three(server: Server, project: str) -> None:
    """Make a project of which ada is owner and bob a member; import three studies of two scans as E1 to E3 of S."""
    import xnat

    server.command("project", "create", project, "--owner", "ada", "--policy", "basic" if project == "LOST" else "none")
    server.command("project", "member", project, "bob", "--role", "member")
    for study in (1, 2, 3):
        for series in (1, 2):
            path = Path(server.ready["inbox_path"]) / project / f"s{study}" / f"{series}.dcm"
            save(instance(study, series, 1), path)
    inbox = Path(server.ready["inbox_path"]) / project
    with xnat.connect(server.ready["url"], user="ada", password=PASSWORD, no_parse_model=True) as session:
        jobs = [
            session.services.import_dicom_inbox(
                str(inbox / f"s{study}"), project=project, subject="S", experiment=f"E{study}"
            )
            for study in (1, 2, 3)
        ]
        deadline = time.monotonic() + 180
        while not all(job.status in ("Completed", "Failed") for job in jobs):
            assert time.monotonic() < deadline
            time.sleep(0.3)
        assert [job.status for job in jobs] == ["Completed"] * 3


def archived(server: Server, project: str) -> list[str]:
    found = Path(server.ready["archive_path"]).glob(f"{project}/arc001/*/SCANS/*")
    return sorted("/".join(path.parts[-3::2]) for path in found)


@pytest.mark.parametrize(("client", "project"), [(xnatpy, "GONE"), (pyxnat, "LOST")])
def test_what_clients_delete_is_gone_and_can_be_restored(server: Server, client: Any, project: str) -> None:
    import_three(server, project)
    everything = archived(server, project)
    assert everything == [f"E{study}/{scan}" for study in (1, 2, 3) for scan in (1, 2)]
    with client(server, project, "bob") as delete, pytest.raises(Exception, match=r"403|may not"):
        delete("S", "E1")
    with client(server, project) as delete:
        with pytest.raises(Exception, match=r"409|has sessions"):
            delete()
        delete("S", "E1", "2")
        delete("S", "E2")
        assert archived(server, project) == ["E1/1", "E3/1", "E3/2"]
        deleted = listed(server, project)
        assert [(row["session"], row["scan"]) for row in deleted] == [("E2", None), ("E1", "2")]
        for row in deleted:
            server.command("trash", "restore", project, str(row["id"]))
        assert archived(server, project) == everything
        server.command("verify", "--project", project)
        delete("S")
        assert archived(server, project) == []
        delete()
    server.command("verify")
    server.command("project", "create", project, "--owner", "ada")
    for row in listed(server, project):
        server.command("trash", "restore", project, str(row["id"]))
    assert archived(server, project) == everything
    server.command("verify", "--project", project)


def test_xnatpy_is_told_to_import_files_instead_of_making_an_empty_session(imported: Server) -> None:
    with connected(imported) as session:
        subject = session.projects["PLAIN"].subjects["S1"]
        with pytest.raises(Exception, match=r"409.*|none is made without files"):
            session.classes.MrSessionData(parent=subject, label="EMPTY")
        assert "EMPTY" not in {each.label for each in subject.experiments.values()}
