"""Which de-identification policy is in force, as projects and requests hold it.

Belongs here: reading and checking the choice, and the pseudonyms of a project. Does not belong here: what a policy does
(`deid`), storing settings (`projects.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inbox_pipeline.deid.options import NEW_SITE_OPTIONS, checked
from inbox_pipeline.deid.pixel_rules import Rules, read_rules
from inbox_pipeline.deid.pseudonyms import Keys, Pseudonyms
from inbox_pipeline.store.secret import Secret

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

BASIC, NONE = "basic", "none"
NO_OPTIONS = "none"
PIXEL_RULES_NAME = "pixel-rules.yaml"
"""The site's device rules for pixels (docs/pixels.md), if it has any; a file in HOME."""


@dataclass(frozen=True)
class PolicyChoice:
    """A policy and its options, and whether a file that still holds an identifier is held under `none`, too."""

    name: str = NONE
    options: tuple[str, ...] = ()
    strict_identifiers: bool = False

    @property
    def basic(self) -> bool:
        """Whether the Basic Profile of PS3.15 applies."""
        return self.name == BASIC

    @classmethod
    def of(cls, row: Mapping[str, Any] | RowMapping) -> PolicyChoice:
        """Return the choice of a project's row, or of a request's, which keeps the one that it began with."""
        return cls(str(row["policy"]), options_from(row["options"]), bool(row["strict_identifiers"]))


def options_from(text: str | None) -> tuple[str, ...]:
    """Return the options that a setting names, separated by commas.

    A text that is empty means those of a new site, `none` means no option at all.

    Raises:
        Rejected: `parameter_invalid`.
    """
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip()) or NEW_SITE_OPTIONS
    if names == (NO_OPTIONS,):
        return ()
    checked(names)
    return names


def pixel_rules(path: Path) -> Rules:
    """Return the device rules of a file; none if there is no such file.

    Raises:
        Rejected: `pixel_rules_invalid`.
    """
    return read_rules(path.read_text(encoding="utf-8")) if path.exists() else Rules(())


def pseudonyms_of(secret: Secret, project: str) -> Pseudonyms:
    """Return a project's pseudonyms, from keys derived for it alone."""
    return Pseudonyms(Keys.derived(secret.subkey, project))
