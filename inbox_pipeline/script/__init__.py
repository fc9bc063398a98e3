"""DicomEdit, the script language in which XNAT sites say how DICOM data is anonymized.

Belongs here: reading scripts and applying them to pydicom data sets.
Does not belong here: which script applies when, profiles, keys of pseudonyms, files.
"""

from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from inbox_pipeline.script.advice import Advice, Server, server
from inbox_pipeline.script.edits import Change
from inbox_pipeline.script.errors import RunError, ScriptError
from inbox_pipeline.script.functions.registry import UidProvider
from inbox_pipeline.script.functions.uids import hash_uid
from inbox_pipeline.script.script import Outcome, Script, compile_script

__all__ = [
    "BASIC_SITE_SCRIPT",
    "DEFAULT_SITE_SCRIPT",
    "Advice",
    "Change",
    "Outcome",
    "RunError",
    "Script",
    "ScriptError",
    "Server",
    "UidProvider",
    "compile_script",
    "hash_uid",
    "server",
]

if TYPE_CHECKING:
    DEFAULT_SITE_SCRIPT: str
    """The script in force for a site that has not set one (dicomedit specification 4.3)."""
    BASIC_SITE_SCRIPT: str
    """What stands in for it under policy basic: PatientID becomes the subject's label instead of the session's."""

_SHIPPED = {"DEFAULT_SITE_SCRIPT": "default_site.das", "BASIC_SITE_SCRIPT": "default_site_basic.das"}


@lru_cache
def _shipped(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")


def __getattr__(name: str) -> str:
    """Scripts that are shipped are read when first asked for, so that importing reads no file but modules."""
    if name in _SHIPPED:
        return _shipped(_SHIPPED[name])
    raise AttributeError(name)
