"""Whether a session that was imported into one project may become another project's.

Belongs here: comparing how a session was anonymized with what a project demands. Does not belong here: finding both out
(`services/entering.py`), who may move it.

An import gives a session what its project demands. Whoever moves it later must not get past the other project's demands
by that: what cannot be done to files that were anonymized once is refused, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass

BASIC = "basic"

HINDRANCES = frozenset({"policy_differs", "script_differs", "keyed_elsewhere", "identifiers_kept"})
"""Reasons to refuse, all of them HTTP 409."""


@dataclass(frozen=True)
class Made:
    """How a session was anonymized: policy, its options, the scripts (by version), whether identifiers were found."""

    policy: str
    options: frozenset[str]
    scripts: frozenset[int]
    identifiers: bool


@dataclass(frozen=True)
class Demand:
    """What a project demands: policy and options, its script in force, whether it refuses files with identifiers.

    `knows_patient` says that it has sessions of the same patient.
    """

    policy: str
    options: frozenset[str]
    script: int | None
    strict_identifiers: bool
    knows_patient: bool


def hindrance(made: Made, demand: Demand) -> str | None:
    """Return why a session may not enter a project, or None.

    Under policy `none` a project's script runs when a session enters the archive, under `basic` at the import alone.
    The pseudonyms and dates of `basic` are made with a key of each project: a patient's sessions with two sets of them
    would not belong together any more.
    """
    basic = made.policy == BASIC
    if demand.policy == BASIC and not (basic and made.options == demand.options):
        return "policy_differs"
    if basic and demand.script is not None and demand.script not in made.scripts:
        return "script_differs"
    if basic and demand.policy == BASIC and demand.knows_patient:
        return "keyed_elsewhere"
    if demand.strict_identifiers and made.identifiers:
        return "identifiers_kept"
    return None
