"""XNAT's logins, alias tokens, and the few answers that its clients ask for when they connect.

Belongs here: what `xnatpy` and `pyxnat` do before and after their work (`xnat-contract` sections 6 and 7.1). Does not
belong here: imports and their status. `/data/version` is absent on purpose: clients take a 404 there for a modern XNAT.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import accounts, browse
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.views import Wanted
from inbox_pipeline.web.answers import json_answer, text
from inbox_pipeline.web.description import JSON, PLAIN, TABLE, answer, body, query, refuses
from inbox_pipeline.web.identity import (
    Caller,
    Known,
    Served,
    current_caller,
    forget_session,
    open_session,
    presented_session,
    refuse_other_sites_always,
    replace_session,
    sender_address,
    set_session_cookie,
)
from inbox_pipeline.web.parameters import Form, Query, last
from inbox_pipeline.web.tables import table_answer
from inbox_pipeline.web.xnat_columns import PROJECT_TYPE, SUBJECT_TYPE
from inbox_pipeline.web.xnat_schema import SCAN_KINDS, SESSION_KINDS, schema_document, search_fields, searchable

XNAT_VERSION = "1.9.1"
"""The release whose behaviour is reproduced; clients choose by it."""

EMPTY_SCHEMA = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<xs:schema targetNamespace="http://nrg.wustl.edu/xdat" xmlns:xdat="http://nrg.wustl.edu/xdat"'
    ' xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified"/>\n'
)

CREDENTIALS = body(
    "application/x-www-form-urlencoded",
    schema={
        "type": "object",
        "required": ["username", "password"],
        "properties": {"username": {"type": "string"}, "password": {"type": "string"}},
    },
    required=True,
)
OBJECT = {200: answer(JSON, schema={"type": "object"})}
OBJECTS = {200: answer(JSON, schema={"type": "array", "items": {"type": "object"}})}
NAMES = {200: answer(JSON, schema={"type": "array", "items": {"type": "string"}})}

router = APIRouter()
tokens = APIRouter(prefix="/data/services/tokens", dependencies=[Depends(refuse_other_sites_always)])


@router.put("/data/services/auth", responses=PLAIN, openapi_extra=CREDENTIALS)
@router.post("/data/services/auth", responses=PLAIN, openapi_extra=CREDENTIALS)
@refuses(401, 429)
def log_in(request: Request, site: Served, form: Form) -> Response:
    """Start a session for `username` and `password` of the form, and answer its id; one that was there ends."""
    login, password = _text(last(form, "username")), _text(last(form, "password"))
    account = accounts.authenticate(site, login, password, sender_address(request))
    return text(replace_session(request, account))


@router.get("/data/auth", responses=PLAIN)
def who_am_i(account: Known) -> Response:
    """Say who is logged in."""
    return text(f"User '{account.login}' is logged in")


@router.get("/data/JSESSION", responses=PLAIN, openapi_extra=query("CSRF"))
@router.post("/data/JSESSION", responses=PLAIN, openapi_extra=query("CSRF"))
def session(
    request: Request, caller: Annotated[Caller, Depends(current_caller)], site: Served, query: Query
) -> Response:
    """Answer the session's id, starting one if there is none; `CSRF=true` appends a token."""
    session_id = caller.session_id
    if session_id is None:
        session_id = open_session(request, caller.account)
    else:
        set_session_cookie(request, session_id)
    token = f";XNAT_CSRF={site.secret.digest('csrf', session_id)}" if last(query, "CSRF").lower() == "true" else ""
    return text(session_id + token)


@router.delete("/data/JSESSION", responses=PLAIN)
@refuses(401, 429)
def log_out(request: Request, site: Served) -> Response:
    """End the session of the cookie; one that has ended already is no error, nor is Basic without a session."""
    session_id = presented_session(request)
    if session_id is None:
        current_caller(request)
    else:
        accounts.end_session(site, session_id)
        forget_session(request)
    return text("")


@router.get("/xapi/siteConfig/buildInfo", responses=OBJECT)
def build_info(_account: Known) -> Response:
    """Say which XNAT this behaves like, and what it really is."""
    own = {"application": "inbox_pipeline", "applicationVersion": version("inbox-pipeline")}
    return json_answer({"version": XNAT_VERSION} | own)


@router.get("/xapi/schemas", responses=NAMES)
def schemas(_account: Known) -> Response:
    """List the XML schemas that clients build their classes from."""
    return json_answer(["xnat"])


@router.get("/xapi/schemas/{name}", responses={200: answer("application/xml")})
@refuses(404)
def schema(name: str, _account: Known) -> Response:
    """Answer a schema: `xnat`, or the empty `xdat` that clients ask for without having seen it listed."""
    if name not in {"xnat", "xdat"}:
        raise refusal("not_found")
    return text(schema_document() if name == "xnat" else EMPTY_SCHEMA, "application/xml")


@router.get("/data/search/elements", responses=TABLE, openapi_extra=query("format"))
def search_elements(request: Request, account: Known, site: Served, query: Query) -> Response:
    """List the types of what the sender may see in the archive."""
    few = Wanted(limit=1)
    counts = Counter({PROJECT_TYPE: browse.list_projects(site, account, few).total})
    counts[SUBJECT_TYPE] = browse.list_subjects(site, account, few).total
    for (_, xsi_type), number in browse.count_types(site, account).items():
        counts[xsi_type] += number
    return table_answer(request, query, searchable(sorted(counts.items())))


@router.get("/data/search/elements/{xsi_type}", responses=TABLE, openapi_extra=query("format"))
@refuses(404)
def search_element(request: Request, xsi_type: str, _account: Known, query: Query) -> Response:
    """List the fields of a type."""
    if xsi_type not in {*SESSION_KINDS, *SCAN_KINDS, PROJECT_TYPE, SUBJECT_TYPE}:
        raise refusal("not_found")
    return table_answer(request, query, search_fields(xsi_type))


@tokens.get("/issue", responses=OBJECT)
def issue_token(account: Known, site: Served) -> Response:
    """Issue an alias token for oneself."""
    return json_answer(accounts.issue_token(site, account))


@tokens.get("/issue/user/{login}", responses=OBJECT)
@refuses(404)
def issue_token_for(login: str, account: Known, site: Served) -> Response:
    """Issue an alias token for a user: oneself, or anybody as administrator."""
    return json_answer(accounts.issue_token(site, _for_user(site, account, login), account.login))


@tokens.get("/show", responses=OBJECTS)
def show_tokens(account: Known, site: Served) -> Response:
    """List one's own alias tokens without their secrets."""
    return json_answer(accounts.list_tokens(site, account))


@tokens.get("/validate/{alias}/{secret}", responses=OBJECT)
@refuses(404)
def validate_token(alias: str, secret: str, account: Known, site: Served) -> Response:
    """Answer whose token that is, as `{"valid": login}`; `{}` for none."""
    login = accounts.validate_token(site, alias, secret)
    if login is None:
        return json_answer({})
    _for_user(site, account, login)
    return json_answer({"valid": login})


@tokens.get("/invalidate/{alias}/{secret}", responses=OBJECT)
@refuses(404)
def invalidate_token(alias: str, secret: str, account: Known, site: Served) -> Response:
    """End an alias token: one's own, or anybody's as administrator."""
    login = accounts.validate_token(site, alias, secret)
    if login is None:
        raise refusal("not_found")
    _for_user(site, account, login)
    accounts.invalidate_token(site, alias, secret, account.login)
    return json_answer({"result": "OK"})


def _for_user(site: Site, account: Account, login: str) -> Account:
    """Return the account of `login` if the sender may act for it.

    Raises:
        Rejected: `forbidden`, or `user_not_found` for an administrator.
    """
    if login == account.login:
        return account
    if not account.admin:
        raise refusal("forbidden")
    other = accounts.get_account(site, login)
    if other is None:
        raise refusal("user_not_found")
    return other


def _text(value: str) -> str:
    """Return a credential from a form whose bytes may not be UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
