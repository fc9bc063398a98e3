"""Other labels, subjects and projects for archived sessions and subjects, over XNAT's addresses (contract section 5).

Belongs here: what a PUT on a session or subject that exists asks for, and its answer: the accession id, once all is as
it was asked for. Does not belong here: who may, and the work (`services/relabel.py`).

A session is moved with `primary=true` or `changePrimaryProject=true`, and to the subject in its address. Its other
attributes are read by `xnat_remarks.py`; those of subjects are not kept. Bodies other than forms are not read.
"""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.engine import RowMapping
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import browse, relabel
from inbox_pipeline.services.accounts import Account, may_edit
from inbox_pipeline.services.prearchive import Wish
from inbox_pipeline.services.remarks import remark_on_session
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.subjects import label_of
from inbox_pipeline.web.answers import text
from inbox_pipeline.web.description import PLAIN, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Given, Pairs, last
from inbox_pipeline.web.rights import readable_project
from inbox_pipeline.web.waiting import wait_until_done
from inbox_pipeline.web.xnat_archive import EXPERIMENTS_AT, PREFIXES
from inbox_pipeline.web.xnat_places import Project, Session, Subject
from inbox_pipeline.web.xnat_remarks import said_of_session

PRIMARY = ("primary", "changePrimaryProject")
WISHES = query("label", "subject_ID", "note", *PRIMARY)
_SUBJECT_FIELDS = ("subject_id", "subject")

_subjects, _experiments = APIRouter(), APIRouter()


@_experiments.put("/{experiment_id}", responses=PLAIN, openapi_extra=WISHES)
@refuses(403, 404, 409)
async def put_session(
    experiment_id: str, request: Request, account: Known, site: Served, project: Project, given: Given
) -> Response:
    """Give a session another label or subject, or the project of the address, and set its attributes."""
    subject = request.path_params.get("subject_id")

    def asked() -> tuple[RowMapping, int | None]:
        session = _session(site, account, project, experiment_id, given)
        said = said_of_session(session, [pair for pair in given if not _is_wish(pair[0])])
        request_id = _relabelled(site, account, session, project, subject, given)
        if said:
            remark_on_session(site, account, session["id"], said)
        return session, request_id

    return await _answer(site, *await run_in_threadpool(asked))


@_experiments.put("/{experiment_id}/projects/{target_project_id}", responses=PLAIN, openapi_extra=WISHES)
@refuses(403, 404, 409)
async def put_session_project(
    target_project_id: str, account: Known, site: Served, session: Session, given: Given
) -> Response:
    """Move a session to another project, as clients do that share it as its primary one; nothing else is shared."""

    def asked() -> int | None:
        target = readable_project(target_project_id, account, site)
        if not _is_primary(given):
            raise refusal("not_supported", name="primary")
        return _relabelled(site, account, session, target, None, given)

    return await _answer(site, session, await run_in_threadpool(asked))


@_subjects.put("/subjects/{subject_id}", responses=PLAIN, openapi_extra=query("label"))
@refuses(403, 404, 409)
async def put_subject(account: Known, site: Served, subject: Subject, given: Given) -> Response:
    """Give a subject another label."""
    if subject is None:
        raise refusal("not_found")
    return await relabelled_subject(site, account, subject, field(given, "label") or subject["label"])


async def relabelled_subject(site: Site, account: Account, subject: RowMapping, label: str) -> Response:
    """Give a subject a label and answer its accession id, once its sessions have it, too."""
    for request_id in await run_in_threadpool(relabel.relabel_subject, site, account, subject, label):
        await wait_until_done(site, request_id)
    return text(subject["accession"])


def field(given: Pairs, *names: str) -> str:
    """Return the last value that a field has, by its short name or as a path into XNAT's schema, in any case."""
    found = [value for key, value in given if key.rpartition("/")[2].lower() in names and "/" in key]
    short = [value for key, value in given if key.lower() in names]
    return next(iter([*reversed(short), *reversed(found)]), "").strip()


async def _answer(site: Site, session: RowMapping, request_id: int | None) -> Response:
    if request_id is not None:
        await wait_until_done(site, request_id)
    return text(session["accession"])


def _session(site: Site, account: Account, project: str | None, name: str, given: Pairs) -> RowMapping:
    """Return the session that an address names; one that is to be moved there by its accession id.

    One that is not there is not made: where its type is given, XNAT makes an empty one, but here a session is what an
    import has committed.
    """
    try:
        return browse.find_session(site, account, name, project)
    except Rejected:
        created = project is not None and last(given, "xsiType") and not _is_primary(given)
        if created and may_edit(site, account, str(project)):
            raise refusal("session_needs_files") from None
        if project is None or not _is_primary(given):
            raise
    session = browse.find_session(site, account, name)
    if session["accession"].casefold() != name.casefold():
        raise refusal("not_found")
    return session


def _relabelled(
    site: Site, account: Account, session: RowMapping, project: str | None, subject: str | None, given: Pairs
) -> int | None:
    """Ask for what is asked, and return the request that does it."""
    named = subject or field(given, *_SUBJECT_FIELDS)
    own = (session["subject_label"].casefold(), session["subject_accession"].casefold())
    target = project or session["project_id"]
    subject_label = label_of(site, target, named) if named and named.casefold() not in own else None
    wish = Wish(target, subject_label, field(given, "label") or None)
    return relabel.relabel_session(site, account, session["id"], wish)


def _is_wish(parameter: str) -> bool:
    """Whether a parameter says what `_relabelled` and `_session` look for."""
    return parameter in PRIMARY or parameter.rpartition("/")[2].lower() in ("label", *_SUBJECT_FIELDS)


def _is_primary(given: Pairs) -> bool:
    return any(last(given, name).strip().lower() == "true" for name in PRIMARY)


router = APIRouter()
for prefix in PREFIXES:
    router.include_router(_subjects, prefix=prefix)
    for place in EXPERIMENTS_AT:
        router.include_router(_experiments, prefix=prefix + place)
