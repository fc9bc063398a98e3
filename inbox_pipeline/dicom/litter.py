"""Files that operating systems and file servers leave behind, recognised by name and first bytes.

Belongs here: names and magics of such files. Does not belong here: what becomes of them, looking at folders.
"""

from pathlib import PurePosixPath

HEAD_BYTES = 132
"""How many leading bytes of the file are looked at."""

_APPLE_DOUBLE_MAGIC = b"\x00\x05\x16\x07"
_APPLE_SINGLE_MAGIC = b"\x00\x05\x16\x00"
_NAMES = frozenset(
    (
        ".ds_store",
        ".localized",
        ".directory",
        ".hidden",
        ".apdisk",
        ".com.apple.timemachine.donotpresent",
        ".volumeicon.icns",
        "icon\r",
        "thumbs.db",
        "thumbs.db:encryptable",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "autorun.inf",
        ".picasa.ini",
        ".syncinfo",
        ".sync.ffs_lock",
    )
)
_FOLDERS = frozenset(
    (
        "__macosx",
        ".trashes",
        ".spotlight-v100",
        ".fseventsd",
        ".documentrevisions-v100",
        ".temporaryitems",
        ".appledouble",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "@eadir",
        ".snapshot",
    )
)
_PREFIXES = (".nfs", ".fuse_hidden", ".trash-", ".smbdelete", "~$", ".~lock.")
_DICOM_PREFIX_OFFSET = 128


def os_litter(name: bytes | str, head: bytes) -> str | None:
    """Tell what kind of litter a file is: 'apple_double', 'os_litter', or None if it is none.

    `name` is the file name or a relative path with `/`, `head` the first bytes of the file (HEAD_BYTES or more).
    A `._` name alone is not enough, since any file may be named so: it needs the magic, or no content at all.
    """
    if head.startswith((_APPLE_DOUBLE_MAGIC, _APPLE_SINGLE_MAGIC)):
        return "apple_double"
    if head[_DICOM_PREFIX_OFFSET : _DICOM_PREFIX_OFFSET + 4] == b"DICM":
        return None
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    parts = PurePosixPath(text.lower()).parts
    last = parts[-1] if parts else ""
    if last in _NAMES or last.startswith(_PREFIXES) or not _FOLDERS.isdisjoint(parts[:-1]):
        return "os_litter"
    return "apple_double" if last.startswith("._") and not head else None
