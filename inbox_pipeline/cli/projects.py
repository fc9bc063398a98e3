"""`project` and `site`: settings on HOME's catalog, whether or not a server runs.

Belongs here: the `project` and `site` commands. Does not belong here: which values are allowed (`services`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inbox_pipeline.cli import options

if TYPE_CHECKING:
    from inbox_pipeline.services.site import Site

Texts = tuple[str | None, str | None]
Function = TypeVar("Function", bound=Callable[..., Any])
COLUMNS = ["id", "title", "prearchive_code", "policy", "script_enabled", "sweep", "inbox_path"]
ROLES = click.Choice(["owner", "member", "collaborator", "none"])


def script_options(function: Function) -> Function:
    """Add the options that projects and the site share."""
    for option in (
        click.option("--strict-script", type=options.ON_OFF, help="Hold files on a script's warnings."),
        click.option("--strict-identifiers", type=options.ON_OFF, help="Hold files that still hold identifiers."),
        click.option("--policy", type=options.POLICY, help="De-identification policy."),
        click.option("--script-enabled", type=options.ON_OFF, help="Switch the stored script on or off."),
        click.option("--lookup", type=click.Path(path_type=Path), help="Store this lookup table with the script."),
        click.option("--script", type=click.Path(path_type=Path), help="Store this script as the newest version."),
    ):
        function = option(function)
    return function


@click.group()
def project() -> None:
    """Create and change projects."""


@project.command()
@click.argument("project_id", metavar="ID")
@click.option("--title", default="", help="A name for people.")
@click.option("--owner", metavar="USER", help="Make this user the owner.")
@click.option("--policy", type=options.POLICY, help="De-identification policy.  [default: the site's]")
@options.if_missing_option
@options.home_option
def create(project_id: str, title: str, owner: str | None, policy: str | None, if_missing: bool) -> None:
    """Create a project and its folder in the inbox."""
    from inbox_pipeline.services import projects  # noqa: PLC0415 - loads SQLAlchemy

    made = projects.create_project(options.site(), options.actor(), project_id, title, owner, if_missing, policy)
    click.echo(f"project {made['id']}: {made['inbox_path']}")


@project.command("set")
@click.argument("project_id", metavar="ID")
@click.option("--title", help="A name for people.")
@click.option("--prearchive-code", type=click.Choice(["0", "4", "5"]), help="0 manual, 4 and 5 archive by itself.")
@click.option("--options", "profile_options", metavar="A,B", help="Options of the policy.")
@click.option("--linking-table", type=options.ON_OFF, help="Keep which original identifier became which, apart.")
@click.option("--sweep", type=options.ON_OFF, help="Import new folders of the inbox by itself.")
@click.option("--sweep-user", metavar="USER", help="In whose name the sweep imports.")
@click.option("--quiet-seconds", type=float, metavar="N", help="How long a folder must rest before a sweep.")
@script_options
@options.home_option
def set_project(
    project_id: str, script: Path | None, lookup: Path | None, script_enabled: str | None, **given: str | None
) -> None:
    """Change a project's settings."""
    from inbox_pipeline.services import projects  # noqa: PLC0415 - loads SQLAlchemy

    site, actor = options.site(), options.actor()
    texts = _checked(site, project_id, script, lookup)
    code = given.pop("prearchive_code")
    changes: dict[str, Any] = {
        **_strictness(given),
        "options": given.pop("profile_options"),
        "prearchive_code": None if code is None else int(code),
        "sweep": options.switch(given.pop("sweep")),
        "linking_table": options.switch(given.pop("linking_table")),
        **given,
    }
    projects.set_project(site, actor, project_id, **changes)
    _store(site, actor, texts, project_id)
    projects.set_project(site, actor, project_id, script_enabled=options.switch(script_enabled))
    click.echo(f"project {project_id}: set")


@project.command()
@click.argument("project_id", metavar="ID")
@click.argument("user")
@click.option("--role", type=ROLES, required=True, help="What the user may do; none takes the user out.")
@options.home_option
def member(project_id: str, user: str, role: str) -> None:
    """Give a user a role in a project."""
    from inbox_pipeline.services import projects  # noqa: PLC0415 - loads SQLAlchemy

    projects.set_member(options.site(), options.actor(), project_id, user, role)
    click.echo(f"project {project_id}: {user} {role}")


@project.command()
@click.argument("project_id", metavar="ID")
@options.json_option
@options.home_option
def show(project_id: str, as_json: bool) -> None:
    """Show a project's settings and members."""
    from inbox_pipeline.services import projects  # noqa: PLC0415 - loads SQLAlchemy

    options.show(projects.show_project(options.site(), project_id), as_json)


@project.command()
@click.argument("project_id", metavar="ID")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV.")
@options.json_option
@options.home_option
def linking(project_id: str, as_csv: bool, as_json: bool) -> None:
    """Show which original identifier became which; this is audited."""
    import csv  # noqa: PLC0415 - only here

    from inbox_pipeline.services.linking import linked  # noqa: PLC0415 - loads SQLAlchemy
    from inbox_pipeline.store.linking import MEMBERS  # noqa: PLC0415 - as above

    rows = linked(options.site(), options.actor(), project_id)
    if not as_csv:
        options.show_table(rows, MEMBERS, as_json)
        return
    writer = csv.DictWriter(sys.stdout, MEMBERS)
    writer.writeheader()
    writer.writerows(rows)


@project.command("list")
@options.json_option
@options.home_option
def list_projects(as_json: bool) -> None:
    """List all projects."""
    from inbox_pipeline.services import projects  # noqa: PLC0415 - loads SQLAlchemy

    options.show_table(projects.list_projects(options.site()), COLUMNS, as_json)


@click.group()
def site() -> None:
    """Show and change the site's settings."""


@site.command("set")
@click.option("--url-hosts", metavar="A,B", help="Hosts from which getURL of a script may read; '' for none.")
@click.option("--login-failures", type=int, metavar="N", help="So many failed log-ins lock a login.  [default: 10]")
@click.option("--address-failures", type=int, metavar="N", help="So many lock an address.  [default: 100]")
@click.option("--lockout-seconds", type=int, metavar="N", help="For so long nothing is checked.  [default: 900]")
@click.option("--lock-first-administrator", type=options.ON_OFF, help="Lock admin like others, not only slow it down.")
@click.option("--project-rules", type=click.Path(path_type=Path), help="Store these routing expressions, for projects.")
@click.option("--subject-rules", type=click.Path(path_type=Path), help="The same for subjects; an empty file for none.")
@click.option("--session-rules", type=click.Path(path_type=Path), help="The same for sessions.")
@click.option("--routing", type=options.ON_OFF, help="Switch all stored routing expressions on or off.")
@click.option("--accept-clock", is_flag=True, help="The clock is right now; later times on record were wrong.")
@script_options
@options.home_option
def set_site(
    accept_clock: bool,
    script: Path | None,
    lookup: Path | None,
    script_enabled: str | None,
    routing: str | None,
    **given: Any,
) -> None:
    """Change the site's settings."""
    from inbox_pipeline.services import guards, projects  # noqa: PLC0415 - loads SQLAlchemy

    opened, actor = options.site(), options.actor()
    rules = _checked_rules({target: given.pop(f"{target}_rules") for target in ("project", "subject", "session")})
    if accept_clock:
        guards.accept_clock(opened, actor)
    texts = _checked(opened, None, script, lookup)
    first = options.switch(given.pop("lock_first_administrator"))
    changes = {**_strictness(given), "script_enabled": options.switch(script_enabled), **given}
    changes["lock_first_administrator"] = first
    projects.set_site(opened, actor, **changes)
    _store(opened, actor, texts, None)
    _store_rules(opened, actor, rules, options.switch(routing))
    click.echo("site: set")


def _checked_rules(files: dict[str, Path | None]) -> dict[str, str]:
    """Return routing expressions by what they find, all of them good, so that nothing is set if one is not."""
    from inbox_pipeline.services.routing import check_rules  # noqa: PLC0415 - loads SQLAlchemy

    texts = {
        target: options.read_text(path, "routing_unreadable", "The routing expressions cannot be read")
        for target, path in files.items()
        if path is not None
    }
    for text in texts.values():
        check_rules(text)
    return texts


def _store_rules(site: Site, actor: str, texts: dict[str, str], enabled: bool | None) -> None:
    from inbox_pipeline.services.routing import set_rules, show_routing  # noqa: PLC0415 - loads SQLAlchemy

    stored = [target for target, row in show_routing(site).items() if row["version"]] if enabled is not None else []
    for target in dict.fromkeys((*texts, *stored)):
        set_rules(site, actor, target, texts.get(target), enabled)


@site.command("show")
@options.json_option
@options.home_option
def show_site(as_json: bool) -> None:
    """Show the site's settings."""
    from inbox_pipeline.services import projects  # noqa: PLC0415 - loads SQLAlchemy

    options.show(projects.show_site(options.site()), as_json)


def _checked(site: Site, project_id: str | None, script: Path | None, lookup: Path | None) -> Texts:
    """Return the texts of a script and of a lookup table if they can be stored, before anything is changed.

    Raises:
        Rejected: `script_unreadable`, or as `scripts.store_script`.
    """
    text, table = (None if path is None else options.read_script(path) for path in (script, lookup))
    if (text, table) != (None, None):
        from inbox_pipeline.services.scripts import check_storable  # noqa: PLC0415 - loads pydicom

        check_storable(site, text, project_id, lookup=table)
    return text, table


def _store(site: Site, actor: str, texts: Texts, project_id: str | None) -> None:
    """Store what was given of a script and its lookup table."""
    from inbox_pipeline.services.scripts import store_script  # noqa: PLC0415 - loads SQLAlchemy

    if texts != (None, None):
        store_script(site, actor, texts[0], project_id, lookup=texts[1])


def _strictness(given: dict[str, str | None]) -> dict[str, bool | None]:
    """Take the two switches out of `given`, as booleans."""
    return {name: options.switch(given.pop(name)) for name in ("strict_identifiers", "strict_script")}
