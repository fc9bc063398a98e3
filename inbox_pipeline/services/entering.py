"""What a project demands of a session that comes from another one, from the catalog.

Belongs here: reading both sides for `intake/entering.py`, whoever moves a session, in prearchive or archive. Does not
belong here: the decision, and rights to edit.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.entering import Demand, Made, hindrance
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.accounts import Account, is_owner
from inbox_pipeline.services.policies import PolicyChoice
from inbox_pipeline.services.scripts import active_script
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import prearchive, projects, requests


def hindrance_of(site: Site, connection: Connection, session: RowMapping, project_id: str) -> str | None:
    """Return why a session may not enter a project, or None; it may always stay where it is.

    Args:
        site: the site.
        connection: a connection to its catalog.
        session: a session, in the prearchive or archived.
        project_id: an existing project, as it is written in the catalog.
    """
    project = projects.get_project(connection, project_id)
    if project is None or project_id == session["project_id"]:
        return None
    patients = {plan["patient_key"] for plan in prearchive.plans(connection, session["id"])} - {""}
    choice = PolicyChoice.of(project)
    script = active_script(site, project_id)
    own = PolicyChoice.of({**session, "strict_identifiers": False})
    made = Made(
        own.name,
        frozenset(own.options),
        frozenset(each["id"] for each in session["scripts"]),
        prearchive.holds_identifiers(connection, session["id"]),
    )
    demand = Demand(
        choice.name,
        frozenset(choice.options),
        script.id if script is not None and script.enabled else None,
        choice.strict_identifiers,
        prearchive.knows_patient(connection, project_id, patients),
    )
    return hindrance(made, demand)


def require_entry(site: Site, connection: Connection, account: Account, session: RowMapping, project_id: str) -> None:
    """Refuse what would get a session past the demands of a project.

    Raises:
        Rejected: `policy_differs`, `script_differs`, `keyed_elsewhere`, `identifiers_kept`; `prevent_anon_denied` for a
            session that was imported without anonymization, which is for owners.
    """
    code = hindrance_of(site, connection, session, project_id)
    if code is not None:
        raise refusal(code)
    maker = requests.get(connection, session["request_id"]) if session["request_id"] else None
    if maker is not None and maker["prevent_anon"] and not is_owner(site, account, project_id):
        raise refusal("prevent_anon_denied")
