"""Giving elements text, and keeping the text of a data set readable while that happens.

Belongs here: storing text under an element's VR, and what the Specific Character Set then asks for: where text cannot
be written in it, or where an edit changes it, all text of its scope becomes ISO_IR 192 (PS3.3 section C.12.1.1.2).
Does not belong here: which element gets which text.
"""

from inbox_pipeline.script import values
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.levels import Level, python_encodings

CHARSET = 0x00080005
_VALUE_WORK = 100
_UNICODE = "ISO_IR 192"
_DEFAULT_REPERTOIRE = frozenset(["", "ISO_IR 6", "ISO 2022 IR 6"])


def set_text(level: Level, tag: int, text: str, unknown: str = "UN") -> None:
    """Store text in an element, creating it if it is missing. Raises Failure if its VR cannot hold the text.

    A new element that no dictionary knows gets the VR `unknown`.
    """
    try:
        level.edits.spend(len(text) + _VALUE_WORK * text.count("\\"))
        _need_unicode(text)
        if tag == CHARSET:
            _set_charset(level, text)
        else:
            vr = level.vr(tag)
            vr = unknown if vr == "UN" and not level.has(tag) else vr
            _make_room(level, vr, text)
            level.put(values.element_from_text(tag, vr, text), "set")
    except Failure as failure:
        raise Failure(failure.message, failure.tag or level.path(tag)) from None


def _need_unicode(text: str) -> None:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        raise Failure("the value is no Unicode text") from None


def blank(level: Level, tag: int) -> None:
    """Take the value of an element away and keep the element, if there is one."""
    if tag == CHARSET:
        _set_charset(level, "")
    elif level.has(tag):
        level.put(values.emptied(tag, level.vr(tag)), "empty")


def remove(level: Level, tag: int) -> None:
    """Remove an element."""
    if tag != CHARSET:
        level.remove(tag)
    elif _recode(level):
        _store_charset(level, _UNICODE)
        level.edits.warn("(0008,0005) was kept, as ISO_IR 192: other elements hold text that needs a character set")
    else:
        level.remove(tag)


def _set_charset(level: Level, charset: str) -> None:
    """Store a character set; if the scope holds text beyond ASCII that becomes, and is declared, ISO_IR 192."""
    same = level.text(CHARSET) == charset
    if not same and _recode(level) and charset != _UNICODE:
        level.edits.warn("(0008,0005) became ISO_IR 192, not the stated character set: it fits the text that is there")
        charset = _UNICODE
    _store_charset(level, charset)


def _store_charset(level: Level, charset: str) -> None:
    level.put(values.element_from_text(CHARSET, "CS", charset), "set")


def _make_room(level: Level, vr: str, text: str) -> None:
    """See to it that the text can be written: change the scope's character set if it cannot hold it."""
    if text.isascii() or vr not in values.TEXT_VRS:
        return
    if vr not in values.CHARSET_VRS:
        raise Failure(f"the VR {vr} holds ASCII text only")
    scope = level
    while scope.parent is not None and not scope.has(CHARSET):
        scope = scope.parent
    if not _encodable(text, scope.text(CHARSET) or ""):
        _recode(scope)
        _store_charset(scope, _UNICODE)


def _encodable(text: str, charset: str) -> bool:
    """Whether one of the encodings of a character set can write the text."""
    if charset in _DEFAULT_REPERTOIRE:
        return False
    for encoding in python_encodings(charset):
        try:
            text.encode(encoding)
        except (UnicodeError, LookupError):
            continue
        return True
    return False


def _recode(level: Level) -> bool:
    """Decode every text beyond ASCII of the scope that begins at `level`, so that it is written anew; whether any."""
    found = False
    for tag in level.tags():
        if _beyond_ascii(level, tag):
            element = level.element(tag)
            if element is not None:
                level.put(element, "recode")
                found = True
    for item in [item for tag in level.sequences() for item in level.items(tag) if not item.has(CHARSET)]:
        found |= _recode(item)
    return found


def _beyond_ascii(level: Level, tag: int) -> bool:
    """Whether an element has a VR that depends on the character set, and text that does."""
    entry = level.entry(tag)
    raw = getattr(entry, "value", None)
    if entry is None or (isinstance(raw, bytes) and raw.isascii() and b"\x1b" not in raw):
        return False
    if entry.VR not in (None, "UN") and entry.VR not in values.CHARSET_VRS:
        return False
    return level.vr(tag) in values.CHARSET_VRS and not (level.text(tag) or "").isascii()
