"""The functions of the language (dicomedit specification 3), by name.

Belongs here: the one table of them. Does not belong here: a function.
"""

from inbox_pipeline.script.functions import attributes, dates, network, pixels, text, uids
from inbox_pipeline.script.functions.registry import Function

FUNCTIONS: dict[str, Function] = {
    **text.FUNCTIONS,
    **uids.FUNCTIONS,
    **dates.FUNCTIONS,
    **attributes.FUNCTIONS,
    **network.FUNCTIONS,
    **pixels.FUNCTIONS,
}

_HINTS = {
    "urlEncode": "urlEncode exists in DicomEdit 4.2 only",
    "hash": "there is no function hash; hashUID makes a UID of a text",
    "removeAllPrivateTags": "removeAllPrivateTags is a statement and takes no brackets",
}


def check_call(name: str, count: int) -> str | None:
    """Why a function cannot be called with `count` arguments, or None if it can."""
    function = FUNCTIONS.get(name)
    if function is not None:
        return None if function.accepts(count) else f"{name} takes {function.arity}"
    return _HINTS.get(name) or f"there is no function {name}{_similar(name)}"


def _similar(name: str) -> str:
    same = next((known for known in FUNCTIONS if known.lower() == name.lower()), None)
    return f"; {same} is written so" if same else ""
