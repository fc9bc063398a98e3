import pytest

from inbox_pipeline.dicom.litter import HEAD_BYTES, os_litter


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("._IM0001", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "apple_double"),
        (b"a/IM0001", b"\x00\x05\x16\x07", "apple_double"),
        ("._empty", b"", "apple_double"),
        ("._IM0001", bytes(128) + b"DICM", None),
        ("._text", b"hello", None),
        (b".DS_Store", b"\0\0\0\1Bud1", "os_litter"),
        ("a/Thumbs.db", b"\xd0\xcf\x11\xe0", "os_litter"),
        ("DESKTOP.INI", b"[.ShellClassInfo]", "os_litter"),
        ("__MACOSX/x/readme", b"hi", "os_litter"),
        (".directory", b"", "os_litter"),
        (".nfs000000000012", b"data", "os_litter"),
        ("Icon\r", b"", "os_litter"),
        (b"\xff\xfe.bin", b"data", None),
        ("IM0001", b"", None),
        ("Thumbs.db", bytes(128) + b"DICM", None),
        ("", b"", None),
    ],
)
def test_litter_is_known_by_name_and_content(name: bytes | str, head: bytes, kind: str | None) -> None:
    assert len(head) <= HEAD_BYTES
    assert os_litter(name, head) == kind
