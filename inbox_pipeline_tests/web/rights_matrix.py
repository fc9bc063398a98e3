"""Who may use which route: one entry for every route of the application, held to by `test_rights.py`.

A new route needs a line in `MATRIX`: its rule, and with `asks` what has to be sent so that somebody who may use it is
answered. Path parameters are filled by `Stage.fill`; a new parameter is added there. Status codes of a rule stand in
the order of `ROLES`; `OK` is any answer that is no refusal, or 409, which speaks of a state and not of a right.

Belongs here: the matrix. Does not belong here: sending requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inbox_pipeline.services import accounts, deletion, projects
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.xnat_manage import SETTINGS

PASSWORD = "correct horse"
PROJECT, SUBJECT, SESSION = "P1", "SUB1", "MR1"
SEARCH = b"<bundle><root_element_name>xnat:subjectData</root_element_name></bundle>"
SCRIPT = b'version "6.3"\n(0010,0010) := subject\n'
ROUTING = r"(0010,4000):Visit (\w+)"
ROLES = (
    "nobody",
    "outsider",
    "collaborator",
    "member",
    "owner",
    "data-access",
    "data-admin",
    "administrator",
)
"""Who asks: without a login, with a login and no role, with a role in the project, with a role on the site. `member`
has filed the request, and is the user of the token and of `{login}`'s token."""

OK = 0
Rule = tuple[int, ...]

OPEN: Rule = (OK, OK, OK, OK, OK, OK, OK, OK)
LOGIN: Rule = (401, OK, OK, OK, OK, OK, OK, OK)
READER: Rule = (401, 404, OK, OK, OK, OK, OK, OK)
EDITOR: Rule = (401, 404, 403, OK, OK, 403, OK, OK)
PREARCHIVE: Rule = (401, 403, 403, OK, OK, 403, OK, OK)
"""XNAT's 403 in the prearchive, for projects of others as for those that do not exist."""

OWNER: Rule = (401, 404, 403, 403, OK, 403, 403, OK)
ADMINISTRATOR: Rule = (401, 403, 403, 403, 403, 403, 403, OK)
REQUEST: Rule = (401, 404, 404, OK, OK, 404, 404, OK)
REQUEST_OWNER: Rule = (401, 404, 404, 403, OK, 404, 404, OK)
IMPORT: Rule = (401, 400, 400, OK, OK, 400, OK, OK)
MEMBERS_TOKEN: Rule = (401, 403, 403, OK, 403, 403, 403, OK)


@dataclass
class Stage:
    """What the requests are about: a project with its people, a folder, a request, the file of an archived session, and
    a user to be changed."""

    site: Site
    folder: Path
    request_id: int
    file: str
    user: str = "casual"

    def fill(self, path: str) -> str:
        """Return a route's template with its parameters filled; what an earlier request has used up is there again."""
        projects.set_member(self.site, "test", PROJECT, self.user, "member")
        for deleted in deletion.list_deleted(self.site, PROJECT):
            deletion.restore(self.site, _account(self.site, "administrator"), PROJECT, deleted["id"])
        values = {
            "project_id": PROJECT,
            "request_id": str(self.request_id),
            "version": "1",
            "path:path": "script",
            "name": "xnat",
            "code": "forbidden",
            "rules": "subjectRules",
            "target": "session",
            "group": "Members",
            "login": "member" if "/tokens/" in path else self.user,
            "subject_id": SUBJECT,
            "experiment_id": SESSION,
            "target_project_id": PROJECT,
            "scan_id": "1",
            "scan_ids": "1",
            "resource_id": "DICOM",
            "xsi_type": "xnat:mrSessionData",
            "project_ids": PROJECT,
            "timestamp": "20260101_000000000",
            "label": "none",
            "scan_label": "1",
            "resource": "DICOM",
            "deleted_id": "1000",
        }
        if "/files/" in path:
            values["name"] = self.file
        if path.endswith("prearchive_code/{code}"):
            values["code"] = "4"
        setting = path.rpartition("/")[0].rpartition("/")[2]
        if setting in SETTINGS:
            values["value"] = SETTINGS[setting]
        if "{alias}" in path:
            token = accounts.issue_token(self.site, _account(self.site, "member"))
            values |= {"alias": token["alias"], "secret": token["secret"]}
        for name, value in values.items():
            path = path.replace("{" + name + "}", value)
        return path


Options = Callable[[Stage], dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """A route's rule, what is sent to it, and what else it may answer to those who may use it."""

    rule: Rule
    options: Options = field(default=lambda stage: {})
    also: frozenset[int] = frozenset()


def asks(rule: Rule, *also: int, **options: Any) -> Entry:
    """Return the entry of a route to which something is sent; a function is called with the stage."""
    fixed = {name: value for name, value in options.items() if not callable(value)}
    made = {name: value for name, value in options.items() if callable(value)}
    return Entry(rule, lambda stage: fixed | {name: make(stage) for name, make in made.items()}, frozenset(also))


def _account(site: Site, login: str) -> accounts.Account:
    account = accounts.get_account(site, login)
    assert account is not None
    return account


def _order(stage: Stage) -> dict[str, str]:
    return {"path": str(stage.folder), "project": PROJECT}


def _query(stage: Stage) -> dict[str, str]:
    return {"import-handler": "inbox", "path": str(stage.folder), "PROJECT_ID": PROJECT}


NOT_CONFIGURED: Rule = (404,) * len(ROLES)
LOG_IN = asks(OPEN, data={"username": "member", "password": PASSWORD})

MATRIX: dict[str, Entry] = {
    "GET /": Entry(OPEN),
    "GET /api/openapi.json": Entry(OPEN),
    "GET /api/xnat-openapi.json": Entry(OPEN),
    "GET /help/errors": Entry(OPEN),
    "GET /help/errors/{code}": Entry(OPEN),
    "GET /healthz": Entry(OPEN),
    "GET /readyz": asks(OPEN, 503),
    "GET /metrics": Entry(ADMINISTRATOR),
    "GET /login/oidc": Entry(NOT_CONFIGURED),
    "GET /login/oidc/callback": Entry(NOT_CONFIGURED),
    "PUT /data/services/auth": LOG_IN,
    "POST /data/services/auth": LOG_IN,
    "GET /data/auth": Entry(LOGIN),
    "GET /data/JSESSION": Entry(LOGIN),
    "POST /data/JSESSION": Entry(LOGIN),
    "DELETE /data/JSESSION": Entry(LOGIN),
    "GET /xapi/siteConfig/buildInfo": Entry(LOGIN),
    "GET /xapi/siteConfig/uptime": Entry(LOGIN),
    "GET /xapi/siteConfig/uptime/display": Entry(LOGIN),
    "GET /xapi/plugins": Entry(LOGIN),
    "GET /xapi/plugins/": Entry(LOGIN),
    "GET /xapi/schemas": Entry(LOGIN),
    "GET /xapi/schemas/{name}": Entry(LOGIN),
    "GET /data/search/elements": Entry(LOGIN),
    "POST /data/search": asks(LOGIN, content=SEARCH),
    "POST /REST/search": asks(LOGIN, content=SEARCH),
    "GET /data/services/tokens/issue": Entry(LOGIN),
    "GET /data/services/tokens/issue/user/{login}": Entry(MEMBERS_TOKEN),
    "GET /data/services/tokens/show": Entry(LOGIN),
    "GET /data/services/tokens/validate/{alias}/{secret}": Entry(MEMBERS_TOKEN),
    "GET /data/services/tokens/invalidate/{alias}/{secret}": Entry(MEMBERS_TOKEN),
    "GET /xapi/users": Entry(ADMINISTRATOR),
    "GET /xapi/users/username": Entry(LOGIN),
    "GET /xapi/access/projects": Entry(LOGIN),
    "POST /data/services/import": asks(IMPORT, params=_query),
    "POST /REST/services/import": asks(IMPORT, params=_query),
    "GET /xapi/dicom/list/active": Entry(LOGIN),
    "GET /xapi/dicom/list/all": Entry(LOGIN),
    "GET /xapi/dicom/{request_id}": Entry(REQUEST),
    "GET /xapi/anonymize/default": Entry(LOGIN),
    "GET /xapi/anonymize/site": Entry(LOGIN),
    "PUT /xapi/anonymize/site": asks(ADMINISTRATOR, content=SCRIPT),
    "GET /xapi/anonymize/site/enabled": Entry(LOGIN),
    "PUT /xapi/anonymize/site/enabled": Entry(ADMINISTRATOR),
    "GET /xapi/anonymize/projects/{project_id}": Entry(READER),
    "PUT /xapi/anonymize/projects/{project_id}": asks(OWNER, content=SCRIPT),
    "GET /xapi/anonymize/projects/{project_id}/enabled": Entry(READER),
    "PUT /xapi/anonymize/projects/{project_id}/enabled": Entry(OWNER),
    "POST /api/v1/requests": asks(IMPORT, json=_order),
    "GET /api/v1/requests": Entry(LOGIN),
    "GET /api/v1/requests/{request_id}": Entry(REQUEST),
    "GET /api/v1/requests/{request_id}/ledger": Entry(REQUEST),
    "POST /api/v1/requests/{request_id}/cancel": Entry(REQUEST),
    "POST /api/v1/requests/{request_id}/retry": Entry(REQUEST),
    "POST /api/v1/requests/{request_id}/undo": Entry(REQUEST_OWNER),
    "POST /api/v1/requests/{request_id}/restore": Entry(REQUEST_OWNER),
    "POST /api/v1/plan": asks(IMPORT, json=_order),
    "POST /api/v1/scripts/check": asks(LOGIN, json={"text": SCRIPT.decode()}),
    "GET /api/v1/scripts/site/versions": Entry(LOGIN),
    "GET /api/v1/scripts/site/versions/{version}": Entry(LOGIN),
    "GET /api/v1/projects/{project_id}/scripts": Entry(READER),
    "GET /api/v1/projects/{project_id}/scripts/{version}": Entry(READER),
    "GET /api/v1/projects/{project_id}/linking": Entry(OWNER),
    "GET /api/v1/routing": Entry(LOGIN),
    "GET /api/v1/routing/{target}/versions": Entry(LOGIN),
    "PUT /api/v1/routing/{target}": asks(ADMINISTRATOR, json={"text": ROUTING}),
    "GET /api/v1/projects/{project_id}/deleted": Entry(OWNER),
    "POST /api/v1/projects/{project_id}/deleted/{deleted_id}/restore": asks(OWNER, 404),
    "GET /api/v1/audit": Entry(ADMINISTRATOR),
}

for prefix in ("/data", "/REST"):
    MATRIX |= {
        f"GET {prefix}/users": Entry(ADMINISTRATOR),
        f"GET {prefix}/config/dicom/{{rules}}": asks(LOGIN, 404),
        f"PUT {prefix}/config/dicom/{{rules}}": asks(ADMINISTRATOR, content=ROUTING.encode()),
        f"GET {prefix}/config/anon/script": Entry(LOGIN),
        f"PUT {prefix}/config/anon/script": asks(ADMINISTRATOR, content=SCRIPT),
        f"GET {prefix}/projects/{{project_id}}/config/anon/{{path:path}}": Entry(READER),
        f"PUT {prefix}/projects/{{project_id}}/config/anon/{{path:path}}": asks(OWNER, content=SCRIPT),
        f"GET {prefix}/config/edit/image/dicom/script": Entry(LOGIN),
        f"PUT {prefix}/config/edit/image/dicom/script": asks(ADMINISTRATOR, content=SCRIPT),
        f"GET {prefix}/config/edit/image/dicom/status": Entry(LOGIN),
        f"PUT {prefix}/config/edit/image/dicom/status": asks(ADMINISTRATOR, params={"activate": "true"}),
        f"GET {prefix}/config/edit/projects/{{project_id}}/image/dicom/script": Entry(READER),
        f"PUT {prefix}/config/edit/projects/{{project_id}}/image/dicom/script": asks(OWNER, content=SCRIPT),
        f"GET {prefix}/config/edit/projects/{{project_id}}/image/dicom/status": Entry(READER),
        f"PUT {prefix}/config/edit/projects/{{project_id}}/image/dicom/status": asks(
            OWNER, params={"activate": "true"}
        ),
    }

for prefix in ("/data", "/data/archive", "/REST"):
    MATRIX |= {
        f"GET {prefix}/projects/{{project_id}}/users": Entry(READER),
        f"PUT {prefix}/projects/{{project_id}}/users/{{group}}/{{login}}": Entry(OWNER),
        f"DELETE {prefix}/projects/{{project_id}}/users/{{group}}/{{login}}": Entry(OWNER),
    }

_SUBJECTS = ("/subjects", "/projects/{project_id}/subjects")
_EXPERIMENTS = (
    "/experiments",
    "/projects/{project_id}/experiments",
    *(f"{place}/{{subject_id}}/experiments" for place in _SUBJECTS),
)
_OF_SUBJECT = ("", "/resources", "/files")
_SCANS = "/scans/{scan_ids}"
_OF_EXPERIMENT = (
    "",
    "/assessors",
    "/reconstructions",
    "/resources",
    "/files",
    "/scans",
    "/scans/{scan_id}",
    f"{_SCANS}/resources",
    f"{_SCANS}/resources/{{resource_id}}",
    f"{_SCANS}/resources/{{resource_id}}/files",
    f"{_SCANS}/resources/{{resource_id}}/files/{{name}}",
    f"{_SCANS}/files",
    f"{_SCANS}/files/{{name}}",
)


def _list_rule(place: str) -> Rule:
    """A list without a project holds what the sender may see, maybe nothing."""
    return READER if "{" in place else LOGIN


def _item_rule(place: str) -> Rule:
    """What is found without a project is hidden like a project."""
    return READER if "{project_id}" in place else SEEN


SEEN: Rule = (401, 404, OK, OK, OK, OK, OK, OK)

MATRIX["GET /data/search/elements/{xsi_type}"] = Entry(LOGIN)
for prefix in ("/data", "/data/archive", "/REST"):
    MATRIX |= {
        f"GET {prefix}/projects": Entry(LOGIN),
        f"GET {prefix}/projects/{{project_id}}": Entry(READER),
        f"PUT {prefix}/projects/{{project_id}}": Entry(ADMINISTRATOR),
        f"DELETE {prefix}/projects/{{project_id}}": Entry(OWNER),
        f"GET {prefix}/projects/{{project_id}}/resources": Entry(READER),
        f"GET {prefix}/projects/{{project_id}}/files": Entry(READER),
        f"GET {prefix}/projects/{{project_id}}/prearchive_code": Entry(READER),
        f"PUT {prefix}/projects/{{project_id}}/prearchive_code/{{code}}": Entry(OWNER),
        **{f"GET {prefix}/projects/{{project_id}}/{name}": Entry(READER) for name in SETTINGS},
        **{f"PUT {prefix}/projects/{{project_id}}/{name}/{{value}}": Entry(OWNER) for name in SETTINGS},
    }
    for place in _SUBJECTS:
        MATRIX[f"GET {prefix}{place}"] = Entry(_list_rule(place))
        MATRIX |= {f"GET {prefix}{place}/{{subject_id}}{rest}": Entry(_item_rule(place)) for rest in _OF_SUBJECT}
        MATRIX[f"PUT {prefix}{place}/{{subject_id}}"] = Entry(EDITOR)
        MATRIX[f"DELETE {prefix}{place}/{{subject_id}}"] = Entry(OWNER)
    for place in _EXPERIMENTS:
        MATRIX[f"GET {prefix}{place}"] = Entry(_list_rule(place))
        MATRIX[f"PUT {prefix}{place}/{{experiment_id}}"] = asks(EDITOR, params={"note": "seen"})
        MATRIX[f"PUT {prefix}{place}/{{experiment_id}}/scans/{{scan_id}}"] = asks(EDITOR, params={"quality": "usable"})
        MATRIX |= {f"GET {prefix}{place}/{{experiment_id}}{rest}": Entry(_item_rule(place)) for rest in _OF_EXPERIMENT}
        moved = f"PUT {prefix}{place}/{{experiment_id}}/projects/{{target_project_id}}"
        MATRIX[moved] = asks(EDITOR, params={"primary": "true"})
        MATRIX |= {f"DELETE {prefix}{place}/{{experiment_id}}{rest}": Entry(OWNER) for rest in ("", "/scans/{scan_id}")}

_ABSENT = {"src": f"/prearchive/projects/{PROJECT}/20260101_000000000/none"}
"""A session that is not there: whoever may work in the prearchive is told so (404)."""
_AT = "/prearchive/projects/{project_id}/{timestamp}/{label}"
_OF_WAITING = (
    "",
    "/scans",
    "/resources",
    "/scans/{scan_label}",
    "/scans/{scan_label}/resources",
    "/scans/{scan_label}/resources/{resource}/files",
    "/scans/{scan_label}/resources/{resource}/files/{name}",
    "/logs",
    "/logs/1",
    "/logs/last",
)
for prefix in ("/data", "/REST"):
    MATRIX |= {
        f"GET {prefix}/prearchive": Entry(LOGIN),
        f"PUT {prefix}/prearchive": Entry((401, 403, 403, 403, 403, 403, OK, OK)),
        f"GET {prefix}/prearchive/projects": Entry(LOGIN),
        f"GET {prefix}/prearchive/projects/{{project_ids}}": Entry((401, 403, OK, OK, OK, OK, OK, OK)),
        **{f"GET {prefix}{_AT}{rest}": asks(PREARCHIVE, 404) for rest in _OF_WAITING},
        f"POST {prefix}{_AT}": asks(PREARCHIVE, 404, params={"action": "build"}),
        f"PUT {prefix}{_AT}": asks(PREARCHIVE, 404, params={"newProject": PROJECT}),
        f"DELETE {prefix}{_AT}": asks(PREARCHIVE, 404),
        f"GET {prefix}/services/dicomdump": asks(SEEN, params={"src": f"/archive/experiments/{SESSION}/scans/1"}),
        f"POST {prefix}/services/archive": asks(PREARCHIVE, 404, params=_ABSENT),
        f"POST {prefix}/services/validate-archive": asks(PREARCHIVE, 404, params=_ABSENT),
        f"POST {prefix}/services/prearchive/delete": asks(PREARCHIVE, 404, params=_ABSENT),
        f"POST {prefix}/services/prearchive/move": asks(PREARCHIVE, 404, params=_ABSENT | {"newProject": PROJECT}),
        f"POST {prefix}/services/prearchive/rebuild": asks(PREARCHIVE, 404, params=_ABSENT),
    }
