"""XNAT's routes for people: the site's users, and who has which role in a project (`xnat-contract` section 6).

Belongs here: their tables, and the names that XNAT has for roles. Does not belong here: what a role allows
(`services/accounts.py`), and the log-in (`xnat_session.py`).

XNAT knows names and an address of its users; here there are none, and the members stay empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import accounts, projects
from inbox_pipeline.web.answers import json_answer, text
from inbox_pipeline.web.description import PLAIN, TABLE, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Query
from inbox_pipeline.web.rights import Administrator, Owned, Readable
from inbox_pipeline.web.tables import Table, table_answer
from inbox_pipeline.web.xnat_session import NAMES, OBJECTS

GROUPS = {"owner": "Owners", "member": "Members", "collaborator": "Collaborators"}
EMPTY = ("firstname", "lastname", "email")

FORMAT = query("format")

xapi = APIRouter(prefix="/xapi")
_lists = APIRouter()
_members = APIRouter(prefix="/projects/{project_id}/users")


@xapi.get("/users", responses=NAMES)
def logins(_sender: Administrator, site: Served) -> Response:
    """List the logins of all users."""
    return json_answer([user["login"] for user in accounts.list_users(site)])


@xapi.get("/users/username", responses=PLAIN)
def own_login(account: Known) -> Response:
    """Answer one's own login as text, also to who came with an alias token."""
    return text(account.login)


@xapi.get("/access/projects", responses=OBJECTS)
def own_roles(account: Known, site: Served) -> Response:
    """List the projects in which one has a role, with that role."""
    roles = projects.roles_of(site, account)
    return json_answer([{"ID": project_id, "role": GROUPS[role]} for project_id, role in roles.items()])


@_lists.get("/users", responses=TABLE, openapi_extra=FORMAT)
def users(request: Request, _sender: Administrator, site: Served, query: Query) -> Response:
    """List all users as a table."""
    rows = [{"xdat_user_id": user["id"], "login": user["login"]} for user in accounts.list_users(site)]
    return table_answer(request, query, Table("Users", ("xdat_user_id", "login", *EMPTY), rows, len(rows)))


@refuses(400)
def group_role(project: Readable, group: str) -> str:
    """Return the role that a group of a project stands for: `Owners`, `owner` or `<project>_owner`, in any case.

    Raises:
        Rejected: `parameter_invalid`.
    """
    name = group.casefold().removeprefix(f"{project.casefold()}_").removesuffix("s")
    if name not in GROUPS:
        raise refusal("parameter_invalid", name="group")
    return name


def member_table(request: Request, site: Served, query: Query) -> Callable[[str], Response]:
    """Return what answers the table of a project's members as they are by then, in the form that is asked for."""

    def listed(project: str) -> Response:
        rows = [
            {"GROUP_ID": f"{project}_{role}", "displayname": GROUPS[role], "login": login}
            for login, role in projects.show_members(site, project).items()
        ]
        columns = ("GROUP_ID", "displayname", "login", *EMPTY)
        return table_answer(request, query, Table("Members", columns, rows, len(rows)))

    return listed


Role = Annotated[str, Depends(group_role)]
Listed = Annotated[Callable[[str], Response], Depends(member_table)]


@_members.get("", responses=TABLE, openapi_extra=FORMAT)
def members(project: Readable, listed: Listed) -> Response:
    """List who has a role in the project."""
    return listed(project)


@_members.put("/{group}/{login}", responses=TABLE, openapi_extra=FORMAT)
def add_member(project: Owned, role: Role, login: str, account: Known, site: Served, listed: Listed) -> Response:
    """Give a user a role in the project instead of any other, and list the members."""
    projects.set_member(site, account.login, project, login, role)
    return listed(project)


@_members.delete("/{group}/{login}", responses=TABLE, openapi_extra=FORMAT)
def remove_member(project: Owned, role: Role, login: str, account: Known, site: Served, listed: Listed) -> Response:
    """Take a user out of the group, and list the members."""
    projects.remove_member(site, account.login, project, login, role)
    return listed(project)


router = APIRouter()
for prefix in ("/data", "/data/archive", "/REST"):
    router.include_router(_members, prefix=prefix)
for prefix in ("/data", "/REST"):
    router.include_router(_lists, prefix=prefix)
