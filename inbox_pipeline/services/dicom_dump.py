"""The header of one file of an archived or prearchive session, for people who may read the session's files.

Belongs here: which file an address stands for, opening it, errors. Does not belong here: the rows (`dicom/dump.py`),
HTTP, and which generation of a session is read (`reading.py`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy.engine import RowMapping

from inbox_pipeline.dicom.dump import Row, dump, tag_of
from inbox_pipeline.dicom.errors import NotReadable, OverLimits
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import browse, prearchive
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.prearchive import Place
from inbox_pipeline.services.reading import open_files
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.views import Wanted
from inbox_pipeline.store.reading import NotAsArchived

_ONE_AT_A_TIME = threading.Lock()
"""pydicom's character sets are decoded by one thread of a process at a time (`dicom/quiet.py`)."""


@dataclass(frozen=True)
class Source:
    """What is asked about: a session, or one of its scans or files; the first file that it has.

    `place` is a prearchive session, else `session` is one of the archive by accession id or label, in `project` and of
    `subject` where they are given.
    """

    session: str = ""
    project: str | None = None
    subject: str | None = None
    place: Place | None = None
    scan: str | None = None
    file: str | None = None


def header_of(site: Site, account: Account, source: Source, fields: Sequence[str] = ()) -> list[Row]:
    """Return the header of a file, or the elements of it that are named by keyword or by tag in eight digits.

    Raises:
        Rejected: `field_unknown`, `header_too_long`, `header_unreadable`; what the account may not know of, or is not
            there: `not_found`, `prearchive_denied`, `prearchive_session_not_found`.
        Unavailable: `session_away`.
    """
    tags = [tag_of(name) for name in fields]
    if None in tags:
        raise refusal("field_unknown")
    wanted = [tag for tag in tags if tag is not None]
    if source.place is not None:
        return _waiting(site, account, source, source.place, wanted)
    return _archived(site, account, source, wanted)


def _archived(site: Site, account: Account, source: Source, wanted: Sequence[int]) -> list[Row]:
    subject = None if source.subject is None else browse.find_subject(site, account, source.subject, source.project)
    session = browse.find_session(site, account, source.session, source.project, subject)
    scans = [scan["id"] for scan in _scans(site, session, source)]
    opened = open_files(site, session["id"], scans, source.file)
    try:
        with opened.folder as folder, folder.stream(opened.rows[0]["path"]) as stream:
            return _rows(stream, wanted)
    except NotAsArchived:
        raise refusal("header_unreadable") from None


def _waiting(site: Site, account: Account, source: Source, place: Place, wanted: Sequence[int]) -> list[Row]:
    session = prearchive.session(site, account, place)
    rows = browse.list_files(site, session, _scans(site, session, source), Wanted()).rows
    row = next((each for each in rows if source.file in (None, each["path"].rpartition("/")[2])), None)
    if row is None:
        raise refusal("not_found")
    try:
        stream = open(site.settings.prearchive_path / session["path"] / row["path"], "rb")  # noqa: SIM115 - closed below
    except OSError:
        raise refusal("not_found") from None
    with stream:
        return _rows(stream, wanted)


def _scans(site: Site, session: RowMapping, source: Source) -> Sequence[RowMapping]:
    """Return the scan that is asked about, else the session's first one."""
    if source.scan is not None:
        return [browse.find_scan(site, session, source.scan)]
    return browse.list_scans(site, session, Wanted(limit=1)).rows


def _rows(stream: BinaryIO, wanted: Sequence[int]) -> list[Row]:
    try:
        with _ONE_AT_A_TIME:
            return dump(stream, os.fstat(stream.fileno()).st_size, wanted)
    except OverLimits:
        raise refusal("header_too_long") from None
    except NotReadable:
        raise refusal("header_unreadable") from None
