"""Commands that work on folders and files: `verify`, `anonymize`, `secret`.

Belongs here: their options and what they print. Does not belong here: the work (`services`).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inbox_pipeline.cli import exits, options
from inbox_pipeline.cli.follow import CLEAR_LINE
from inbox_pipeline.store.private_file import replacing

if TYPE_CHECKING:
    from inbox_pipeline.services.anonymize_folder import Result
    from inbox_pipeline.services.folder_worker import KeyedPolicy

PROGRESS_FILES = 50


@click.command()
@click.option("--project", metavar="P", help="This project only.")
@options.json_option
@options.home_option
def verify(project: str | None, as_json: bool) -> None:
    """Re-read the archive and compare it with the catalog, both ways."""
    from inbox_pipeline.services.verify import KINDS  # noqa: PLC0415 - loads SQLAlchemy
    from inbox_pipeline.services.verify import verify as run  # noqa: PLC0415 - as above

    found = run(options.site(), project)
    differences = [{"kind": d.kind, "tree": d.tree, "path": d.path} for d in found.differences]
    if as_json:
        totals = {"sessions": found.sessions, "files": found.files, "bytes": found.bytes}
        options.write_json({**totals, "differences": differences})
    else:
        for row in differences:
            click.echo(f"{row['kind']}  {row['tree']}/{row['path']}  ({KINDS[row['kind']]})")
        read = f"{found.sessions:,} sessions, {found.files:,} files, {found.bytes:,} bytes read"
        click.echo(f"{read}: {len(differences) or 'no'} difference{'' if len(differences) == 1 else 's'}")
    click.get_current_context().exit(exits.DIFFERENT if differences else exits.COMPLETE)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--script", "scripts", metavar="F", multiple=True, type=click.Path(path_type=Path), help="Apply F; again."
)
@click.option("--site-script", default="default", show_default=True, metavar="none|default|F", help="Applied first.")
@click.option("--policy", type=options.POLICY, default="basic", show_default=True, help="De-identification policy.")
@click.option(
    "--options", "profile_options", metavar="a,b", help="Options of policy basic.  [default: those of a new site]"
)
@click.option(
    "--pixel-rules", metavar="F", type=click.Path(path_type=Path, exists=True), help="Device rules for pixels."
)
@options.context_options
@click.option("--strict-script", is_flag=True, help="Hold a file on which a line of a script had no effect.")
@click.option("--strict-identifiers", is_flag=True, help="Hold what still holds identifiers under policy none, too.")
@click.option("--uid-map", metavar="CSV", type=click.Path(path_type=Path), help="Write id_old,id_new of each UID.")
@click.option("--patient-map", metavar="CSV", type=click.Path(path_type=Path), help="Likewise of each PatientID.")
@click.option("--report", metavar="JSONL", type=click.Path(path_type=Path), help="Write a row per file found.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="Processes.")
@options.home_option
def anonymize(
    source: Path,
    target: Path,
    scripts: tuple[Path, ...],
    site_script: str,
    policy: str,
    profile_options: str | None,
    pixel_rules: Path | None,
    project: str | None,
    subject: str | None,
    session: str | None,
    secret_file: Path | None,
    strict_script: bool,
    strict_identifiers: bool,
    uid_map: Path | None,
    patient_map: Path | None,
    report: Path | None,
    jobs: int,
) -> None:
    """Anonymize a folder or an archive file without a server.

    Writes OUT/<subject>/<session>/<scan>/<new SOP Instance UID>.dcm; IN is only read, and an archive file is never
    unpacked to a disk. The exit code is the outcome.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's idle threads would keep helpers from being copies
    from inbox_pipeline.services import anonymize_folder as service  # noqa: PLC0415 - loads pydicom
    from inbox_pipeline.services.folder_plan import UNASSIGNED  # noqa: PLC0415 - as above
    from inbox_pipeline.services.maps import write_map  # noqa: PLC0415 - as above

    name = project or UNASSIGNED
    keyed = _keyed_policy(policy, profile_options, secret_file, name, pixel_rules)
    before = site_scripts(site_script, basic=keyed is not None)
    order = service.Order(
        source,
        target,
        (*before, *(options.read_script(path) for path in scripts)),
        name,
        subject,
        session,
        jobs,
        project_key(secret_file, name),
        strict_script,
        keyed,
        strict_identifiers=strict_identifiers,
        pairs=uid_map is not None or patient_map is not None,
    )
    result = service.anonymize_folder(order, _progress)
    if report is not None:
        _write_report(report, result)
    for path, pairs in ((uid_map, result.pairs.uids), (patient_map, result.pairs.patients)):
        if path is not None:
            write_map(path, pairs)
    click.echo(result.verdict)
    click.get_current_context().exit(exits.of_outcome(result.outcome))


@click.group()
def secret() -> None:
    """Make secrets."""


@secret.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.home_option
def new(file: Path) -> None:
    """Write a new secret, readable by you alone."""
    from inbox_pipeline.store.secret import new_secret  # noqa: PLC0415 - loads cryptography

    new_secret(file)
    click.echo(f"{file}: made")


def _keyed_policy(
    policy: str, given: str | None, secret_file: Path | None, project: str, rules: Path | None
) -> KeyedPolicy | None:
    """Return the policy with the project's keys; None for policy none.

    Raises:
        Rejected: `parameter_invalid` for an option that is none, `secret_missing`, `secret_malformed`,
            `secret_exposed`.
    """
    from inbox_pipeline.deid.pseudonyms import Keys  # noqa: PLC0415 - loads more than --help needs
    from inbox_pipeline.services.folder_worker import KeyedPolicy  # noqa: PLC0415 - as above
    from inbox_pipeline.services.policies import (  # noqa: PLC0415 - as above
        BASIC,
        PIXEL_RULES_NAME,
        PolicyChoice,
        options_from,
    )
    from inbox_pipeline.services.policies import pixel_rules as read_pixel_rules  # noqa: PLC0415 - as above
    from inbox_pipeline.store.secret import read_secret  # noqa: PLC0415 - loads cryptography

    if policy != BASIC:
        return None
    choice = PolicyChoice(policy, options_from(given))
    secret = read_secret(secret_file or options.settings().secret_file)
    keys = Keys.derived(secret.subkey, project)
    return KeyedPolicy(choice, keys, read_pixel_rules(rules or options.home() / PIXEL_RULES_NAME))


def project_key(secret_file: Path | None, project: str) -> bytes | None:
    """Return the project's key for new and mapped UIDs; None when no secret was named and HOME has none.

    Raises:
        Rejected: `secret_missing`, `secret_malformed` or `secret_exposed`.
    """
    from inbox_pipeline.services.keyed_uids import PURPOSE  # noqa: PLC0415 - loads more than this needs
    from inbox_pipeline.store.secret import read_secret  # noqa: PLC0415 - loads cryptography

    path = secret_file or options.settings().secret_file
    named = secret_file is not None or "INBOX_PIPELINE_SECRET_FILE" in os.environ
    return read_secret(path).subkey(PURPOSE, project) if named or path.exists() else None


def site_scripts(chosen: str, *, basic: bool = False) -> tuple[str, ...]:
    """Return the site script that `--site-script` names, if any; `basic` tells which policy follows it.

    Raises:
        Rejected: `script_unreadable`.
    """
    if chosen == "none":
        return ()
    if chosen != "default":
        return (options.read_script(Path(chosen)),)
    from inbox_pipeline.script import BASIC_SITE_SCRIPT, DEFAULT_SITE_SCRIPT  # noqa: PLC0415 - loads pydicom

    return (BASIC_SITE_SCRIPT if basic else DEFAULT_SITE_SCRIPT,)


def _progress(done: int, total: int) -> None:
    """Show progress on a terminal."""
    if sys.stderr.isatty() and (done % PROGRESS_FILES == 0 or done == total):
        click.echo(f"{CLEAR_LINE}{done:,} of {total:,}" if done < total else CLEAR_LINE, nl=False, err=True)


def _write_report(path: Path, result: Result) -> None:
    """Write a row per file found, for the owner alone: names of files may say who somebody is."""
    with replacing(path) as file:
        file.writelines(f"{json.dumps(row)}\n" for row in result.rows)
