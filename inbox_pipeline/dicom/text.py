"""From value bytes to text under the file's Specific Character Set (PS3.5 section 6.1, PS3.3 section C.12.1.1.2).

Belongs here: decoding that never fails. Does not belong here: which element is decoded.
"""

import re
from typing import TypeGuard

from inbox_pipeline.dicom.quiet import quiet

_UID = re.compile(r"[0-9][0-9.]{0,63}")
_STAND_IN = re.compile(r"[0-9A-Fa-f]{32,64}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ESCAPE = 0x1B
_PADDING = " \0"
_TEXT_DELIMITERS = frozenset(b"\r\n\t\f\\")
_NAME_DELIMITERS = _TEXT_DELIMITERS | frozenset(b"^=")


def ascii_text(value: bytes) -> str:
    """Text of the default repertoire with padding stripped; other bytes become U+FFFD."""
    return value.decode("ascii", "replace").strip(_PADDING)


def is_uid(text: str | None) -> TypeGuard[str]:
    """Whether a text can pass for one UID (PS3.5 section 9.1): at most 64 digits and dots, a digit first.

    Empty components, leading zeros and a dot at the end are let pass: scanners write them, and they do no harm.
    """
    return text is not None and _UID.fullmatch(text) is not None


def stands_for_uid(text: str) -> bool:
    """Whether a text tells instances apart as a UID does: it is one, or what other tools write in its place.

    These are hexadecimal digests and UUIDs: no UIDs, but scripts and policies that make new UIDs of them do mend that.
    """
    return is_uid(text) or _STAND_IN.fullmatch(text) is not None


def decode(value: bytes, charset: bytes, *, name: bool = False) -> str:
    """Text of `value` under the raw value of (0008,0005), padding stripped. Never raises: bad bytes become U+FFFD.

    `name` is for VR PN, where `^` and `=` also end a code extension and trailing empty groups (`=`) are dropped.
    """
    if value.isascii() and _ESCAPE not in value:
        text = value.decode("ascii").strip(_PADDING)
        return text.rstrip("=") if name else text
    encodings = _encodings(charset)
    with quiet():
        from pydicom.charset import decode_bytes  # noqa: PLC0415 - costs half a second

        delimiters = _NAME_DELIMITERS if name else _TEXT_DELIMITERS
        try:
            text = decode_bytes(value, encodings, set(delimiters)).strip(_PADDING)
        except (UnicodeError, LookupError):
            text = value.decode("ascii", "replace").strip(_PADDING)
    return text.rstrip("=") if name else text


def encode(text: str, charset: bytes) -> bytes:
    """Bytes of `text` under the raw value of (0008,0005), unpadded; letters that it cannot write are left out."""
    if text.isascii():
        return text.encode("ascii")
    encodings = _encodings(charset)
    with quiet():
        from pydicom.charset import encode_string  # noqa: PLC0415 - costs half a second

        try:
            return bytes(encode_string(text, encodings))
        except (UnicodeError, LookupError):
            return text.encode("ascii", "ignore")


def _encodings(charset: bytes) -> list[str]:
    with quiet():
        from pydicom.charset import convert_encodings  # noqa: PLC0415 - costs half a second

        terms = [term.strip(_PADDING) for term in charset.decode("ascii", "replace").split("\\")]
        try:
            return list(convert_encodings(terms))
        except (UnicodeError, LookupError, ValueError):
            return ["ascii"]
