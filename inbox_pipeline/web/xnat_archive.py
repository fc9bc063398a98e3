"""The archive under XNAT's addresses: projects, subjects, sessions, scans, resources and files, as lists and documents.

Belongs here: the routes that tell of the archive, under each of XNAT's prefixes. Does not belong here: files' bytes
(`xnat_files.py`), columns, documents, and who may see what.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.services import browse
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog.views import Page, Wanted
from inbox_pipeline.web.answers import text
from inbox_pipeline.web.description import ITEM, TABLE, query
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Query, last
from inbox_pipeline.web.rights import Readable
from inbox_pipeline.web.tables import XML, asked_format, table_answer
from inbox_pipeline.web.xnat_columns import (
    EXPERIMENTS,
    PROJECTS,
    RESOURCES,
    SUBJECTS,
    asked_of,
    by_scan,
    files_of,
    scans_of,
    shown,
    wanted_of,
)
from inbox_pipeline.web.xnat_items import (
    item_answer,
    project_item,
    resource_item,
    scan_item,
    session_item,
    subject_item,
)
from inbox_pipeline.web.xnat_places import Project, Scan, Scans, Session, Subject

PREFIXES = ("/data", "/data/archive", "/REST")
SUBJECTS_AT = ("/subjects", "/projects/{project_id}/subjects")
EXPERIMENTS_AT = (
    "/experiments",
    "/projects/{project_id}/experiments",
    *(f"{place}/{{subject_id}}/experiments" for place in SUBJECTS_AT),
)
_NONE = Page((), 0)
FORMAT = query("format")

_projects, _subjects, _experiments = APIRouter(), APIRouter(), APIRouter()


@_projects.get("/projects", responses=TABLE, openapi_extra=asked_of(PROJECTS))
def projects(request: Request, account: Known, site: Served, query: Query) -> Response:
    """List the projects that the sender may read."""
    page = browse.list_projects(site, account, wanted_of(PROJECTS, query))
    return table_answer(request, query, shown(PROJECTS, query, page))


@_projects.get("/projects/{project_id}", responses=ITEM, openapi_extra=FORMAT)
def project(request: Request, project: Readable, account: Known, site: Served, query: Query) -> Response:
    """Answer a project's document."""
    return item_answer(request, query, project_item(browse.find_project(site, account, project)))


@_projects.get("/projects/{project_id}/resources", responses=TABLE, openapi_extra=FORMAT)
def project_resources(request: Request, _project: Readable, query: Query) -> Response:
    """List what is filed with the project itself: nothing."""
    return table_answer(request, query, shown(RESOURCES, query, _NONE))


@_projects.get("/projects/{project_id}/files", responses=TABLE, openapi_extra=FORMAT)
def project_files(request: Request, _project: Readable, query: Query) -> Response:
    """List the files that are filed with the project itself: none."""
    return table_answer(request, query, shown(files_of(""), query, _NONE))


@_subjects.get("", responses=TABLE, openapi_extra=asked_of(SUBJECTS))
def subjects(request: Request, account: Known, site: Served, project: Project, query: Query) -> Response:
    """List subjects."""
    page = browse.list_subjects(site, account, wanted_of(SUBJECTS, query), project)
    return table_answer(request, query, shown(SUBJECTS, query, page))


@_subjects.get("/{subject_id}", responses=ITEM, openapi_extra=FORMAT)
def subject(
    request: Request, account: Known, site: Served, project: Project, subject: Subject, query: Query
) -> Response:
    """Answer a subject's document, with its sessions."""
    page = browse.list_sessions(site, account, Wanted(), project, subject)
    return item_answer(request, query, subject_item(subject or {}, page.rows))


@_subjects.get("/{subject_id}/resources", responses=TABLE, openapi_extra=FORMAT)
def subject_resources(request: Request, _subject: Subject, query: Query) -> Response:
    """List what is filed with the subject itself: nothing."""
    return table_answer(request, query, shown(RESOURCES, query, _NONE))


@_subjects.get("/{subject_id}/files", responses=TABLE, openapi_extra=FORMAT)
def subject_files(request: Request, _subject: Subject, query: Query) -> Response:
    """List the files that are filed with the subject itself: none."""
    return table_answer(request, query, shown(files_of(""), query, _NONE))


@_experiments.get("", responses=TABLE, openapi_extra=asked_of(EXPERIMENTS))
def experiments(
    request: Request, account: Known, site: Served, project: Project, subject: Subject, query: Query
) -> Response:
    """List archived sessions; a row for each scan where columns of scans are asked for."""
    wanted = wanted_of(EXPERIMENTS, query)
    page = browse.list_sessions(site, account, wanted, project, subject, by_scan=by_scan(query))
    return table_answer(request, query, shown(EXPERIMENTS, query, page))


@_experiments.get("/{experiment_id}", responses=ITEM, openapi_extra=FORMAT)
def experiment(request: Request, site: Served, session: Session, query: Query) -> Response:
    """Answer a session's document, with its scans."""
    scans = browse.list_scans(site, session, Wanted()).rows
    return item_answer(request, query, session_item(session, scans))


@_experiments.get("/{experiment_id}/assessors", responses=TABLE, openapi_extra=FORMAT)
@_experiments.get("/{experiment_id}/reconstructions", responses=TABLE, openapi_extra=FORMAT)
def experiment_derived(request: Request, _session: Session, query: Query) -> Response:
    """List what has been derived from the session: nothing."""
    return table_answer(request, query, shown(EXPERIMENTS, query, _NONE))


@_experiments.get("/{experiment_id}/resources", responses=TABLE, openapi_extra=query("format", "all"))
def experiment_resources(request: Request, site: Served, session: Session, query: Query) -> Response:
    """List what is filed with the session itself: nothing; with `all=true`, the resources of its scans."""
    every = last(query, "all").lower() == "true"
    page = browse.list_scans(site, session, Wanted()) if every else _NONE
    return table_answer(request, query, shown(RESOURCES, query, page))


@_experiments.get("/{experiment_id}/files", responses=TABLE, openapi_extra=FORMAT)
def experiment_files(request: Request, session: Session, query: Query) -> Response:
    """List the files that are filed with the session itself: none."""
    return table_answer(request, query, shown(files_of(session["accession"]), query, _NONE))


@_experiments.get("/{experiment_id}/scans", responses=TABLE, openapi_extra=asked_of(scans_of("")))
def scans(request: Request, site: Served, session: Session, query: Query) -> Response:
    """List a session's scans."""
    kind = scans_of(session["accession"])
    page = browse.list_scans(site, session, wanted_of(kind, query))
    return table_answer(request, query, shown(kind, query, page))


@_experiments.get("/{experiment_id}/scans/{scan_id}", responses=ITEM, openapi_extra=FORMAT)
def scan(request: Request, session: Session, scan: Scan, query: Query) -> Response:
    """Answer a scan's document."""
    return item_answer(request, query, scan_item(scan, session))


@_experiments.get("/{experiment_id}/scans/{scan_ids}/resources", responses=TABLE, openapi_extra=FORMAT)
def resources(request: Request, scans: Scans, query: Query) -> Response:
    """List the resources of scans: each has one, of DICOM files."""
    return table_answer(request, query, shown(RESOURCES, query, Page(scans, len(scans))))


@_experiments.get("/{experiment_id}/scans/{scan_ids}/resources/{resource_id}", responses=ITEM, openapi_extra=FORMAT)
def resource(request: Request, site: Served, session: Session, scans: Scans, query: Query) -> Response:
    """Answer a resource's document; as XML, its catalog of files."""
    if asked_format(request, query) != XML:
        return item_answer(request, query, resource_item(scans[0], session))
    files = browse.list_files(site, session, scans[:1], Wanted()).rows
    entries = [
        archive.CatalogEntry(
            row["path"].rpartition("/")[2], row["sop_instance_uid"], row["instance_number"], row["md5"], row["bytes"]
        )
        for row in files
    ]
    return text(archive.scan_catalog(scans[0]["series_uid"], entries).decode(), XML)


router = APIRouter()
for prefix in PREFIXES:
    router.include_router(_projects, prefix=prefix)
    for place in SUBJECTS_AT:
        router.include_router(_subjects, prefix=prefix + place)
    for place in EXPERIMENTS_AT:
        router.include_router(_experiments, prefix=prefix + place)
