"""`user`: people on HOME's catalog, whether or not a server runs.

Belongs here: the `user` commands. Does not belong here: rules about logins and passwords (`services/accounts.py`).
"""

from __future__ import annotations

import click

from inbox_pipeline.cli import options
from inbox_pipeline.intake.reasons import refusal

role_option = click.option(
    "--role",
    type=click.Choice(["administrator", "data-admin", "data-access", "none"]),
    help="In every project: do everything, edit the data, read the data, or only what the project's roles allow.",
)
password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def user() -> None:
    """Create and change users."""


@user.command()
@click.argument("name")
@password_option
@click.option("--admin", is_flag=True, help="The same as --role administrator.")
@role_option
@options.if_missing_option
@options.home_option
def create(name: str, password_stdin: bool, admin: bool, role: str | None, if_missing: bool) -> None:
    """Create a user."""
    from inbox_pipeline.services import accounts  # noqa: PLC0415 - loads SQLAlchemy

    password = options.password_from_stdin(password_stdin)
    accounts.create_user(options.site(), options.actor(), name, password, admin, if_missing, role or "none")
    click.echo(f"user {name}")


@user.command("set")
@click.argument("name")
@role_option
@options.home_option
def set_user(name: str, role: str | None) -> None:
    """Change what a user may do in every project."""
    from inbox_pipeline.services import accounts  # noqa: PLC0415 - loads SQLAlchemy

    if role is None:
        raise click.UsageError("Give --role.")
    accounts.set_role(options.site(), options.actor(), name, role)
    click.echo(f"user {name}: {role}")


@user.command()
@click.argument("name")
@password_option
@options.home_option
def passwd(name: str, password_stdin: bool) -> None:
    """Change a user's password; sessions and tokens end at once."""
    from inbox_pipeline.services import accounts  # noqa: PLC0415 - loads SQLAlchemy

    password = options.password_from_stdin(password_stdin)
    accounts.set_password(options.site(), options.actor(), name, password)
    click.echo(f"user {name}: new password")


@user.command()
@click.argument("name")
@options.home_option
def disable(name: str) -> None:
    """Lock a user out, at once."""
    _set_enabled(name, False)


@user.command()
@click.argument("name")
@options.home_option
def enable(name: str) -> None:
    """Let a disabled user in again."""
    _set_enabled(name, True)


@user.command()
@click.argument("name")
@click.option("--subject", required=True, metavar="S", help="Who it is at the identity provider; '' for nobody.")
@options.home_option
def link(name: str, subject: str) -> None:
    """Let an identity of the provider log in as this user."""
    from inbox_pipeline.services import oidc  # noqa: PLC0415 - loads SQLAlchemy

    oidc.link(options.site(), options.actor(), name, subject)
    click.echo(f"user {name}: {'linked' if subject else 'not linked'}")


@user.command()
@click.argument("name")
@options.home_option
def unlock(name: str) -> None:
    """Let a user log in again now after too many failed log-ins."""
    from inbox_pipeline.services import throttle  # noqa: PLC0415 - loads SQLAlchemy

    found = throttle.unlock(options.site(), options.actor(), name)
    click.echo(f"user {name}: {'unlocked' if found else 'was not locked'}")


@user.command("list")
@options.json_option
@options.home_option
def list_users(as_json: bool) -> None:
    """List all users."""
    from inbox_pipeline.services import accounts  # noqa: PLC0415 - loads SQLAlchemy

    options.show_table(accounts.list_users(options.site()), ["login", "role", "enabled", "created_at"], as_json)


@user.command()
@click.argument("name")
@options.json_option
@options.home_option
def token(name: str, as_json: bool) -> None:
    """Issue an alias token, to be used as user and password for two days."""
    from inbox_pipeline.services import accounts  # noqa: PLC0415 - loads SQLAlchemy

    site = options.site()
    account = accounts.get_account(site, name)
    if account is None:
        raise refusal("user_not_found")
    options.show(accounts.issue_token(site, account, options.actor()), as_json)


def _set_enabled(name: str, enabled: bool) -> None:
    from inbox_pipeline.services import accounts  # noqa: PLC0415 - loads SQLAlchemy

    accounts.set_enabled(options.site(), options.actor(), name, enabled)
    click.echo(f"user {name}: {'enabled' if enabled else 'disabled'}")
