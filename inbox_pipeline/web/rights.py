"""What the sender may do in a project or on the site, as dependencies of routes.

Belongs here: turning the rules of roles into refusals, 404 where the sender may not know that a project exists and 403
where it is known. Does not belong here: the rules themselves (`services/accounts.py`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.accounts import Account, is_owner, may_edit, may_read
from inbox_pipeline.services.scopes import known_project_id
from inbox_pipeline.web.description import refuses
from inbox_pipeline.web.identity import Known, Served


@refuses(404)
def readable_project(project_id: str, account: Known, site: Served) -> str:
    """Return the ID of a project that the sender may see, as it is written in the catalog.

    Raises:
        Rejected: `project_not_found`, the same for an unknown project and one of others.
    """
    known = known_project_id(site, project_id)
    if not may_read(site, account, known):
        raise refusal("project_not_found")
    return known


Readable = Annotated[str, Depends(readable_project)]


@refuses(403)
def editable_project(readable: Readable, account: Known, site: Served) -> str:
    """Return the ID of a project whose data the sender may change, as it is written in the catalog.

    Raises:
        Rejected: `project_not_found`, or `forbidden` for one that the sender may only see.
    """
    if not may_edit(site, account, readable):
        raise refusal("forbidden")
    return readable


@refuses(403)
def owned_project(readable: Readable, account: Known, site: Served) -> str:
    """Return the ID of a project that the sender owns, as it is written in the catalog.

    Raises:
        Rejected: `project_not_found`, or `forbidden` for one that the sender may only see.
    """
    if not is_owner(site, account, readable):
        raise refusal("forbidden")
    return readable


@refuses(403)
def administrator(account: Known) -> Account:
    """Return the sender, who is an administrator.

    Raises:
        Rejected: `forbidden`.
    """
    if not account.admin:
        raise refusal("forbidden")
    return account


Editable = Annotated[str, Depends(editable_project)]
Owned = Annotated[str, Depends(owned_project)]
Administrator = Annotated[Account, Depends(administrator)]
