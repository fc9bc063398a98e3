"""An editor that says which root elements it looks at: the same bytes as with all of them, or all after all."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from inbox_pipeline.dicom.codes import append_method_code
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.rewrite import Rewritten, rewrite
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT, compile_script
from inbox_pipeline.script.errors import RunError

from .builders import EXPLICIT, IMPLICIT, RLE, SYNTAXES, every_vr, part10, read, undefined, with_pixels
from .test_shared import files

VARIABLES = {"project": "P", "subject": "S", "session": "E"}
CODES = 0x00120064


class Scripted:
    """A script and its record; `shown` counts what each call was given."""

    def __init__(self, text: str, variables: dict[str, str], wanted: bool) -> None:
        self._script, self._variables = compile_script(text), variables
        looks_at = self._script.looks_at()
        assert looks_at is not None
        self.wanted = looks_at | {CODES} if wanted else None
        self.shown: list[int] = []

    def __call__(self, dataset: Dataset) -> None:
        self.shown.append(len(dataset))
        self._script.apply(dataset, self._variables)
        append_method_code(dataset, "1", "XNAT DicomEdit 6 Script")


def run(data: bytes, edit: Scripted) -> tuple[bytes, Rewritten]:
    dest = BytesIO()
    result = rewrite(BytesIO(data), dest, edit)
    return dest.getvalue(), result


def same(data: bytes, text: str, variables: dict[str, str] | None = None) -> Scripted:
    """The editor that was shown less, after comparing what came out with what comes out otherwise."""
    less, all_ = (Scripted(text, variables or VARIABLES, wanted) for wanted in (True, False))
    assert outcome(data, less) == outcome(data, all_)
    return less


def outcome(data: bytes, edit: Scripted) -> tuple[bytes, Rewritten] | str:
    """What a script makes of a file, or why it stopped."""
    try:
        return run(data, edit)
    except RunError as stop:
        return str(stop)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("shape", [lambda dataset: dataset, undefined])
def test_the_default_script_gives_the_same_bytes(syntax: str, shape) -> None:
    edit = same(part10(with_pixels(shape(every_vr()), syntax), syntax), DEFAULT_SITE_SCRIPT)
    assert len(edit.shown) == 1
    assert (edit.shown[0] < 20) == (syntax in {IMPLICIT, EXPLICIT, RLE})


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_text_beyond_the_character_set_shows_the_editor_everything(syntax: str) -> None:
    data = part10(undefined(every_vr()), syntax)
    edit = same(data, DEFAULT_SITE_SCRIPT, VARIABLES | {"subject": "名前"})
    assert [count < 20 for count in edit.shown] == [True, False]
    got = read(run(data, edit)[0])
    assert (got.PatientName, got.Manufacturer, got.SpecificCharacterSet) == ("名前", "Müller GmbH", "ISO_IR 192")


def test_a_new_transfer_syntax_shows_the_editor_everything() -> None:
    text = f'version "6.1"\n(0002,0010) := "{EXPLICIT}"\n(0010,0010) := "X"\n'
    assert len(same(part10(every_vr(), IMPLICIT), text).shown) == 2


STATEMENTS = [
    '(0010,0010) := "X^Y"',
    "- (0008,0050)",
    '(0040,0275)[0]/(0040,0007) := "step"',
    "(0008,1110)[0]/(0008,1115)[0]/(0008,1155) := hashUID[(0008,0018)]",
    "- (0008,1110)/*/(0008,1155)",
    '(0020,0010) = "S1" ? (0010,4000) := (0008,1030)',
    "(0010,1010) ?= (0010,0020)",
    'removeTags[(0008,0070), "(0008,103E)"]',
    'set["(0008,1040)", "dept"]',
    'delete["(0008,1030)"]',
    "hashUIDList[(0008,0018), (0020,000D)]",
    '(0028,0106) := "7"',
    "low := lowercase[(0008,1030)]",
    "(0008,0018) := (0008,0018)",
    '(0010,0020) := "Größe"',
]


@given(lines=st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=5), syntax=st.sampled_from(SYNTAXES))
@settings(max_examples=80)
def test_any_script_that_tells_its_reach_gives_the_same_bytes(lines: list[str], syntax: str) -> None:
    script = "\n".join(['version "6.6"', *lines, ""])
    same(part10(with_pixels(every_vr(), syntax), syntax), script)


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")
@pytest.mark.parametrize("subject", ["S", "Größe"])
def test_every_real_file_gets_the_same_bytes(subject: str) -> None:
    text = DEFAULT_SITE_SCRIPT + "(0008,1110)/*/(0008,1155) ?= hashUID[(0008,0018)]\n- (0008,0081)\n"
    compared = 0
    for path, data, _ in files():
        try:
            same(data, text, VARIABLES | {"subject": subject})
        except NotReadable:
            continue
        compared += 1
        assert path
    assert compared == 859
