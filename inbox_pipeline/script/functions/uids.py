"""Functions that make UIDs (dicomedit specification 3.2).

Belongs here: hashed, new and mapped UIDs. Does not belong here: keys; a provider has them.
"""

import hashlib
import re
import uuid

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import VOID, Argument, Context, Function, Void
from inbox_pipeline.script.texts import set_text

_LONGEST_PREFIX = 24
_PREFIX = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def hash_uid(text: str) -> str:
    """The UID that XNAT makes of a text: a name-based UUID without a name space, under 2.25 (PS3.5 section B.2)."""
    digest = bytearray(hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"


class RememberedUids:
    """Random UIDs, remembered as long as this object lives: what XNAT does."""

    def __init__(self) -> None:
        self._mapped: dict[tuple[str, str], str] = {}

    def new_uid(self, script_digest: str, call: int) -> str:
        """A random UID; the arguments play no part."""
        return f"2.25.{uuid.uuid4().int}"

    def mapped_uid(self, prefix: str, value: str) -> str:
        """A random UID under the prefix, the same one whenever the same prefix and value come."""
        return self._mapped.setdefault((prefix, value), f"{prefix}.{uuid.uuid4().int}")


def _hash_uid(context: Context, arguments: list[Argument]) -> str | None:
    text = context.text(arguments[0])
    return None if text is None else hash_uid(text)


def _hash_uid_list(context: Context, arguments: list[Argument]) -> Void:
    for spot in context.spots(arguments):
        text = spot.level.text(spot.tag)
        if spot.level.vr(spot.tag) != "UI":
            context.edits.warn(f"{spot.path} was hashed as a UID but its VR is not UI")
        if text:
            set_text(spot.level, spot.tag, "\\".join(hash_uid(value) for value in text.split("\\")))
    return VOID


def _new_uid(context: Context, arguments: list[Argument]) -> str:
    uid = context.uids.new_uid(context.services.digest, context.new_uids)
    context.new_uids += 1
    return uid


def _map_uid(context: Context, arguments: list[Argument]) -> str | None:
    value = context.text(arguments[0])
    prefix = prefix_of(context.needed(arguments[1]))
    return None if value is None else context.uids.mapped_uid(prefix, value)


def _map_referenced_uids(context: Context, arguments: list[Argument]) -> Void:
    prefix = prefix_of(context.needed(arguments[0]))
    for spot in context.spots(arguments[1:]):
        text = spot.level.text(spot.tag)
        if text:
            set_text(spot.level, spot.tag, context.uids.mapped_uid(prefix, text))
    return VOID


def prefix_of(text: str) -> str:
    """The prefix of mapped UIDs that a text is. Raises Failure."""
    prefix = text.rstrip(".")
    if len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix):
        raise Failure(f"a UID prefix is made of numbers and dots, at most {_LONGEST_PREFIX} characters")
    return prefix


FUNCTIONS = {
    "hashUID": Function(_hash_uid, 1, 1, "6.0"),
    "hashUIDList": Function(_hash_uid_list, 0, None, "6.6"),
    "newUID": Function(_new_uid, 0, 0, "6.0"),
    "mapUID": Function(_map_uid, 2, 2, "6.0"),
    "mapReferencedUIDs": Function(_map_referenced_uids, 1, None, "6.2"),
}
