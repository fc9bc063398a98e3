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


@lru_cache(maxsize=1)
def _default_site_script() -> str:
    return (resources.files(__package__) / "default_site.das").read_text("utf-8")


def __getattr__(name: str) -> str:
    """DEFAULT_SITE_SCRIPT is read when it is first asked for, so that importing reads no file but modules."""
    if name == "DEFAULT_SITE_SCRIPT":
        return _default_site_script()
    raise AttributeError(name)
