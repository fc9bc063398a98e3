"""Files as bytes through the whole way of one file, and what must hold whatever the bytes are.

Belongs here: `one_input`, the entry of the fuzzer and of its short form, and the files that it begins with. Does not
belong here: where mutations come from.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TypeVar

from pydicom import Dataset, Sequence, dcmread
from pydicom.errors import InvalidDicomError

from inbox_pipeline.deid.options import NEW_SITE_OPTIONS
from inbox_pipeline.deid.pseudonyms import Keys
from inbox_pipeline.dicom.errors import NotReadable, NotWritable
from inbox_pipeline.dicom.header import read_header
from inbox_pipeline.dicom.rewrite import Rewritten, rewrite
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT, compile_script
from inbox_pipeline.services.folder_worker import KeyedPolicy
from inbox_pipeline.services.policies import BASIC, PolicyChoice
from inbox_pipeline.services.recipe import CodedScript, Editor, Recipe
from inbox_pipeline.services.rewriting import can_be_filed, rewritten
from inbox_pipeline.services.stopped import Stopped
from inbox_pipeline.store.secret import Secret
from inbox_pipeline_tests.dicom.builders import SYNTAXES, body, every_vr, instance, item, part10, undefined, with_pixels
from inbox_pipeline_tests.script.fuzz import time_limit

T = TypeVar("T")
SECONDS = 5.0
"""An input that takes longer counts as a hang."""
LONGEST = 1 << 16
REFUSALS = (NotReadable, NotWritable, Stopped)
VARIABLES = {"project": "P", "subject": "S", "session": "S_MR1"}
PIECES = [
    *(b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\x00", b"\xff\xff\xff\xff"),
    *(b"\xfe\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x10\0\x10\0PN", b"\x08\0\x05\0CS", b"\x10\0\x20\0LO"),
    *(b"\xe0\x7f\x10\0OW\0\0", b"\x02\0\x10\0UI", b"SQ\0\0\xff\xff\xff\xff", b"\x08\0\x40\x11SQ\0\0", b"UT\0\0"),
    *(b"ISO 2022 IR 87", b"ISO_IR 192", b"\x1b$B", b"GB18030", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"),
    *(b"\x10\0\x10\0UN\0\0", b"\x29\0\x10\0LO", b"\0\0\0\0", b"\0\0\0\0\0\0\0\0"),
]


def one_input(data: bytes) -> int:
    """Read, copy, edit and clean one file; return on how many of these roads something was written.

    Raises whatever is no refusal, and AssertionError when what was written cannot be read again.
    """
    with time_limit(SECONDS):
        accepted(lambda: read_header(BytesIO(data), size=len(data)))
        return sum(written(work, data) for work in roads())


def accepted(work: Callable[[], T]) -> T | None:
    """What work returns, None if it was refused."""
    try:
        return work()
    except REFUSALS:
        return None


def written(work: Callable[[bytes, BytesIO], Rewritten], data: bytes) -> bool:
    """Whether a road wrote the file; if so, and if it can be filed by its UIDs, its header can be read."""
    out = BytesIO()
    result = accepted(lambda: work(data, out))
    if result is None:
        return False
    assert out.tell() == result.output_bytes
    if can_be_filed(result):
        out.seek(0)
        assert read_header(out, size=result.output_bytes).sop_instance_uid == result.sop_instance_uid
    return True


@cache
def roads() -> tuple[Callable[[bytes, BytesIO], Rewritten], ...]:
    """Without an edit; with the default script; with policy basic, too, cleaned and verified."""
    scripts = [CodedScript(0, "script 1", compile_script(DEFAULT_SITE_SCRIPT))]
    keys = Keys.derived(Secret(bytes(32)).subkey, "P")
    profile = KeyedPolicy(PolicyChoice(BASIC, NEW_SITE_OPTIONS), keys).profile()
    return (copied, edited_with(Recipe(scripts, VARIABLES)), edited_with(Recipe(scripts, VARIABLES, profile=profile)))


def copied(data: bytes, out: BytesIO) -> Rewritten:
    """Rewrite without an edit."""
    return rewrite(BytesIO(data), out, lambda dataset: None, size=len(data))


def edited_with(recipe: Recipe) -> Callable[[bytes, BytesIO], Rewritten]:
    """A road on which a recipe is followed, as the command and imports do."""

    def work(data: bytes, out: BytesIO) -> Rewritten:
        editor = Editor(recipe, bytes(32), lambda: hashlib.sha256(data).digest())
        return rewritten(BytesIO(data), out, editor, editor, len(data), pairs=True)

    return work


def seeds() -> Iterator[bytes]:
    """Files of every syntax: plain, every VR, undefined lengths, nested, of other kinds, in other character sets."""
    for syntax, shape in product(SYNTAXES, (instance, every_vr, nested, undefined_lengths, overlays, japanese)):
        yield part10(with_pixels(shape(), syntax), syntax)
    yield part10(report())
    plain = part10(with_pixels(instance(), SYNTAXES[1]))
    yield plain[132:]
    yield body(instance(), SYNTAXES[0])


def nested() -> Dataset:
    """Names and references several levels down, in private sequences, too."""
    dataset = instance()
    for _ in range(6):
        dataset = instance(RequestAttributesSequence=Sequence([dataset]), ImageComments="scan of Fälschung, Anna")
    return dataset


def undefined_lengths() -> Dataset:
    """The nested one, with undefined lengths."""
    return undefined(nested())


def overlays() -> Dataset:
    """An ultrasound with a region, an overlay, an icon, and a patient of over 89 years."""
    region = item(RegionLocationMinX0=1, RegionLocationMinY0=1, RegionLocationMaxX1=9, RegionLocationMaxY1=9)
    dataset = instance(Modality="US", SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1", PatientAge="091Y")
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    dataset.IconImageSequence = Sequence([item(Rows=1, Columns=1, BitsAllocated=16, PixelData=b"\0\0")])
    dataset.add_new(0x60000010, "US", 16)
    dataset.add_new(0x60003000, "OW", bytes(32))
    return dataset


def japanese() -> Dataset:
    """A name in three groups, and texts, with escape sequences."""
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    return instance(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=name, StudyDescription="山田")


def report() -> Dataset:
    """A structured report."""
    leaf = item(ValueType="PNAME", RelationshipType="CONTAINS", PersonName="Grey^Meredith")
    text = item(ValueType="TEXT", RelationshipType="CONTAINS", TextValue="Anna Fälschung was seen")
    code = item(CodeValue="121070", CodingSchemeDesignator="DCM", CodeMeaning="Findings")
    root = item(ValueType="CONTAINER", ConceptNameCodeSequence=[code], ContentSequence=[text, leaf])
    return instance(Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", ContentSequence=[root])


def real_headers(folder: Path, most: int) -> Iterator[bytes]:
    """Headers of files below a folder, a sample of those that are not too long, without pixel data."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in random.Random(1).sample(paths, min(most, len(paths))):
        out = BytesIO()
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            dataset.save_as(out, enforce_file_format=True)
        except (InvalidDicomError, ValueError, AttributeError, TypeError, KeyError):  # not a seed for pydicom
            continue
        if out.tell() <= LONGEST:
            yield out.getvalue()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The same with a few bytes, lengths or pieces changed, or its end cut off."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at, kind = chance.randrange(len(changed) or 1), chance.randrange(5)
        piece = chance.choice(PIECES)
        if kind == 0:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            changed[at : at + len(piece)] = piece
        elif kind == 2:
            changed[at:at] = piece
        elif kind == 3:
            changed[at : at + chance.randrange(1, 64)] = b""
        else:
            start = chance.randrange(len(changed) or 1)
            changed[at:at] = changed[start : start + chance.randrange(1, 200)]
    return bytes(changed[: chance.randrange(len(changed))] if chance.random() < 0.1 else changed)
