"""Scripts and data sets made from bytes, and what must hold of every script on every data set.

Belongs here: `one_input`, the entry of the fuzzer and of its short form. Does not belong here: where bytes come from.
Every decision takes some of the bytes, so that whoever changes a byte changes a decision; none left means 0.
"""

import signal
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from pydicom import Dataset
from pydicom import Sequence as Items
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from inbox_pipeline.script import Outcome, Script, ScriptError, compile_script
from inbox_pipeline.script.functions import FUNCTIONS

SECONDS = 5.0
"""An input that takes longer counts as a hang."""

T = TypeVar("T")
VRS = "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()  # noqa: SIM905
CHARSETS = ["", "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 6\\ISO 2022 IR 87", "GB18030", "nonsense"]
GROUPS = ["0008", "0010", "0020", "0028", "0040", "0002"]
TAGS = [
    *("0008,0005", "0008,0018", "0008,0020", "0008,0060", "0008,0070", "0008,1140", "0008,1155", "0008,103E"),
    *("0010,0010", "0010,0020", "0010,0030", "0010,1010", "0010,1030", "0010,4000", "0018,9345", "0020,000D"),
    *("0028,0010", "0028,0103", "0028,0106", "0028,0009", "0028,3002", "0040,0275", "0040,0007", "5000,3000"),
    *("0002,0010", "0002,0016", "0002,0000", "0008,0000", "FFFE,E000", "7FE0,0010", "7777,0000"),
]
PUBLIC = [tag for tag in TAGS if tag[3] in "02468ACE"]
SEQUENCES = ["(0008,1140)", "(0040,0275)", "(0018,9345)"]
PRIVATE = ["0029,0010", "0029,0011", "0029,1001", "0029,1101", "0029,10FF", "2001,0010", "2001,105F", "0029,0001"]
CREATORS = ["ACME", "Philips Imaging DD 001", "SIEMENS MEDCOM HEADER", "n o"]
VALUES = [
    *(b"", b"1", b"20200102", b"202001021530.5+0100", b"1.5", b"abc", b"045Y", b"1.2.840.10008", b"\0", b"\\\\"),
    *(
        b"M\xfcller^A",
        b"\x1b$B;3ED\x1b(B^x",
        "日本".encode(),
        b"a\\b ",
        b" x ",
        b"-1",
        b"1e400",
        b"\xff\xff\xff",
        b"ACME",
    ),
    *(b"\xfe\xff\x00\xe0\x00\x00\x00\x00", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xff\xfe\xe0\x00\x08\0\0\0"),
    *(
        b"\xfe\xff\x00\xe0\x0c\x00\x00\x00\x08\x00\x55\x11UI\x04\x0012.3",
        b"\xfe\xff\x00\xe0\x08\0\0\0\x10\0\x10\0LO\0\0",
    ),
    *(b"\xfe\xff\x00\xe0\x0a\x00\x00\x00\x10\x00\x20\x00\x02\0\0\0ab", bytes(range(256)), b"12345678" * 40),
]
TEXTS = [
    *('""', '"a"', '"A\\\\B"', '"20200102"', '"-3"', '"days"', '"years"', '"1.2.3"', '"ä"', '"日本"', '"ISO_IR 192"'),
    *(
        '".+"',
        '"(a+)+b"',
        '"[0-9]{8}.*"',
        '"(?i)x|y\\\\d"',
        '"{0}-{1}"',
        "\"'{0}'{2}\"",
        '"{"',
        '"ACME"',
        '"true"',
        '"0"',
    ),
    *(
        '"*/(0008,1155)"',
        '"(0008,1140)[0]/(0008,1155)"',
        '"(0029,1001)"',
        '"l=0,t=0,r=9,b=9"',
        '"solid"',
        '"rectangle"',
    ),
]
NAMES = ["v", "w", "project", "Project", "nosuch"]
PIECES = [
    "if",
    "else",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    '"',
    "//",
    "\\\n",
    "\r",
    "\0",
    "\ufeff",
    "\ud800",
    ":=",
    "?",
    ":",
    "-",
    "~",
]


class Choices:
    """Decisions taken from bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def below(self, limit: int) -> int:
        """A number from 0 up to but without `limit`, at most 256."""
        self._at += 1
        return self._data[self._at - 1] % limit if self._at <= len(self._data) else 0

    def one(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def some(self, length: int) -> bytes:
        self._at += length
        return self._data[self._at - length : self._at]


class Grammar:
    """Scripts that mostly follow the grammar, and mostly fail late if they fail."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    def script(self) -> str:
        lines = [self.statement(3) for _ in range(1 + self._choices.below(12))]
        return "\n".join(['version "6.7"', 'v := "20200102"', "w := {(0008,0070), v}", *lines])

    def statement(self, depth: int) -> str:
        assign = (self._assign, self._assign, self._assign_if, self._delete, self._delete, self._initialize)
        others = (self._ternary, self._remove_private, self._grow, self._statement_call, self._block)
        return self._choices.one([*assign, *(others if depth else others[:-1])])(depth)

    def _assign(self, depth: int) -> str:
        return f"{self.place()} := {self.value(2)}"

    def _assign_if(self, depth: int) -> str:
        return f"{self.path()} ?= {self.value(2)}"

    def _delete(self, depth: int) -> str:
        return f"-{self.path()}"

    def _initialize(self, depth: int) -> str:
        return f"{self._choices.one(NAMES)} := {self.value(3)}"

    def _ternary(self, depth: int) -> str:
        return f"{self.condition()} ? -{self.path()} : {self.place()} := {self.value(1)}"

    def _remove_private(self, depth: int) -> str:
        return "removeAllPrivateTags"

    def _grow(self, depth: int) -> str:
        return "v := concatenate[v, v]\nw := {w, w, v}"

    def _statement_call(self, depth: int) -> str:
        return self.call(2)

    def _block(self, depth: int) -> str:
        inner = "\n".join(self.statement(depth - 1) for _ in range(self._choices.below(3)))
        return f"if ( {self.condition()} ) {{\n{inner}\n}} else {{\n{self.statement(depth - 1)}\n}}"

    def condition(self) -> str:
        operator = self._choices.one(["=", "!=", "~", "!~", ""])
        return f"{self.value(1)} {operator} {self.value(1)}" if operator else self.call(1)

    def value(self, depth: int) -> str:
        kind = self._choices.below(8)
        if kind == 0:
            return self.place()
        if kind == 1:
            return self.path() if depth else self.place()
        if kind == 2 and depth:
            return self.call(depth - 1)
        if kind == 3:
            return self._choices.one(NAMES)
        if kind == 4 and depth:
            return f"{{{', '.join(self.value(depth - 1) for _ in range(self._choices.below(4)))}}}"
        return self._choices.one([*TEXTS, "5", "-1", "2.5"])

    def call(self, depth: int) -> str:
        name = self._choices.one(sorted(FUNCTIONS))
        function = FUNCTIONS[name]
        most = function.minimum + 2 if function.maximum is None else function.maximum
        count = function.minimum + self._choices.below(most - function.minimum + 1)
        return f"{name}[{', '.join(self.value(depth) for _ in range(count))}]"

    def path(self) -> str:
        segments = [self.segment() for _ in range(1 + max(0, self._choices.below(5) - 2))]
        return "/".join([*segments, self.tag()])

    def place(self) -> str:
        """A path that means one element."""
        parents = [
            f"{self._choices.one(SEQUENCES)}[{self._choices.below(3)}]" for _ in range(self._choices.below(3) // 2)
        ]
        last = self._choices.one([*(f"({tag})" for tag in PUBLIC), *(f"(0029,{{{name}}}01)" for name in CREATORS)])
        return "/".join([*parents, last])

    def segment(self) -> str:
        kind = self._choices.below(6)
        if kind < 3:
            return "*+."[kind]
        return self._choices.one(SEQUENCES) + self._choices.one(["", "[0]", "[%]", "[3]"])

    def tag(self) -> str:
        kind = self._choices.below(5)
        if kind == 0:
            return f"(0029,{{{self._choices.one(CREATORS)}}}{self._choices.one(['01', 'XX', 'FF', '0@'])})"
        if kind == 1:
            return f"({self._choices.one(GROUPS)},{self._choices.one(['XXXX', '00XX', '00#X', '11@5'])})"
        return f"({self._choices.one(PUBLIC)})"


class DataSets:
    """Data sets of elements with any VR and any value, nested, private, decoded or not."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    def root(self) -> Dataset:
        """A data set as reading leaves it, perhaps with file meta information."""
        choices = self._choices
        little, implicit = choices.below(4) > 0, choices.below(3) == 0
        charset = choices.one(CHARSETS)
        root = self._level(2 + choices.below(20), 2, little, implicit)
        root.set_original_encoding(
            implicit, little, convert_encodings(charset.split("\\")) if charset != "nonsense" else "utf8"
        )
        if charset:
            tag = BaseTag(0x00080005)
            root._dict[tag] = RawDataElement(tag, "CS", len(charset), charset.encode(), 0, implicit, little)
        if choices.below(2):
            root.file_meta = FileMetaDataset()
            for number in (0x00020010, 0x00020016)[: choices.below(3)]:
                root.file_meta._dict[BaseTag(number)] = DataElement(number, "UI", "1.2.840.10008.1.2.1")
        return root

    def _level(self, count: int, depth: int, little: bool, implicit: bool) -> Dataset:
        level = Dataset()
        for _ in range(count):
            element = self._element(depth, little, implicit)
            level._dict[element.tag] = element
        return level

    def _element(self, depth: int, little: bool, implicit: bool) -> Any:
        choices = self._choices
        name = choices.one([*TAGS, *PRIVATE])
        tag = BaseTag(int(name.replace(",", ""), 16))
        creator = tag.is_private and tag.element < 0x100
        if depth and not creator and choices.below(5) == 0:
            items = [self._level(choices.below(4), depth - 1, little, implicit) for _ in range(choices.below(3))]
            return DataElement(tag, "SQ", Items(items))
        if depth and not creator and choices.below(4) == 0:
            value = self._encoded(depth, little, implicit)
            return RawDataElement(tag, None if implicit else "SQ", len(value), value, 0, implicit, little)
        value = self._value()
        if creator and choices.below(3):
            value = choices.one(CREATORS).encode()
        vr = None if implicit else choices.one(VRS)
        if choices.below(6) == 0 and value.isascii():
            return DataElement(tag, "LO", value.decode("ascii"), already_converted=True)
        return RawDataElement(tag, vr, len(value), value or None, 0, implicit, little)

    def _value(self) -> bytes:
        return self._choices.some(self._choices.below(9)) if self._choices.below(4) == 0 else self._choices.one(VALUES)

    def _encoded(self, depth: int, little: bool, implicit: bool) -> bytes:
        """The items of a sequence as bytes (PS3.5 section 7.5); one byte in many is wrong."""
        items = [self._encoded_item(depth, little, implicit) for _ in range(self._choices.below(4))]
        data = bytearray(b"".join(items))
        if data and self._choices.below(8) == 0:
            data[self._choices.below(len(data))] = self._choices.below(256)
        return bytes(data)

    def _encoded_item(self, depth: int, little: bool, implicit: bool) -> bytes:
        elements = [self._encoded_element(depth, little, implicit) for _ in range(self._choices.below(4))]
        body = b"".join(elements)
        if self._choices.below(2):
            return _head(0xFFFEE000, len(body), little) + body
        return _head(0xFFFEE000, 0xFFFFFFFF, little) + body + _head(0xFFFEE00D, 0, little)

    def _encoded_element(self, depth: int, little: bool, implicit: bool) -> bytes:
        tag = int(self._choices.one([*TAGS, *PRIVATE]).replace(",", ""), 16)
        nested = depth > 1 and self._choices.below(4) == 0
        value = self._encoded(depth - 1, little, implicit) if nested else self._value()
        endless = nested and self._choices.below(2) == 0
        length = 0xFFFFFFFF if endless else len(value)
        value += _head(0xFFFEE0DD, 0, little) if endless else b""
        if implicit:
            return _head(tag, length, little) + value
        vr = "SQ" if nested else self._choices.one(VRS)
        order = "<" if little else ">"
        start = struct.pack(f"{order}HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
        if vr in EXPLICIT_VR_LENGTH_32:
            return start + struct.pack(f"{order}HL", 0, length) + value
        return start + struct.pack(f"{order}H", length & 0xFFFF) + value


def _head(tag: int, length: int, little: bool) -> bytes:
    """A tag and a length of four bytes."""
    return struct.pack("<HHL" if little else ">HHL", tag >> 16, tag & 0xFFFF, length)


class Uids:
    """UIDs that depend on nothing but the arguments."""

    def new_uid(self, script_digest: str, call: int) -> str:
        return f"1.{call}"

    def mapped_uid(self, prefix: str, value: str) -> str:
        return f"{prefix}.{len(value)}"


class Hang(BaseException):
    """The time for one input is over."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Hang in the body once it has run so long; for the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def one_input(data: bytes) -> None:
    """Compile a script made from bytes and apply it to a data set made from them. Raises if a promise is broken."""
    with time_limit(SECONDS):
        choices = Choices(data)
        script = compiled(script_text(choices))
        if script is not None:
            rest = choices.some(choices.left)
            holds_on(script, lambda: DataSets(Choices(rest)).root())


def script_text(choices: Choices) -> str:
    """A script after the grammar, such a one with a piece of something else in it, or any text."""
    kind = choices.below(8)
    if kind == 0:
        return choices.some(choices.left).decode("utf-8", "ignore")
    text = Grammar(choices).script()
    if kind == 1:
        at = len(text) * choices.below(256) // 256
        text = text[:at] + choices.one(PIECES) + text[at + choices.below(3) :]
    return text


def compiled(text: str) -> Script | None:
    """The script with its advice, or None if it is none; an error names a place in the text."""
    try:
        script = compile_script(text, lookup="a/b = c")
    except ScriptError as error:
        has_place(error)
        return None
    assert all(1 <= advice.line <= text.count("\n") + 1 for advice in script.advice)
    return script


def has_place(error: ScriptError) -> None:
    """An error has a place within its line, and can be shown."""
    assert error.line >= 1
    assert 1 <= error.column <= len(error.source_line) + 1
    assert "\n" not in error.source_line
    assert len(str(error).splitlines()) == 3


def holds_on(script: Script, make: Any) -> Outcome | None:
    """Apply a script twice to equal data sets: it ends equally, and an error or a rejection changes nothing."""
    before, first, second = frozen(make()), make(), make()
    outcome, again = applied(script, first), applied(script, second)
    assert frozen(first) == frozen(second)
    assert str(outcome) == str(again)
    if isinstance(outcome, ScriptError) or outcome.rejected:
        assert frozen(first) == before
        return None
    return outcome


def applied(script: Script, dataset: Dataset) -> Any:
    """What applying returns, or its error."""
    try:
        return script.apply(dataset, {"project": "P", "subject": "S"}, uids=Uids())
    except ScriptError as error:
        has_place(error)
        return error


def frozen(dataset: Any) -> Any:
    """All that a data set holds, file meta information included, as plain data that can be compared."""
    meta = getattr(dataset, "file_meta", None)
    return _frozen_level(dataset), None if meta is None else _frozen_level(meta)


def _frozen_level(level: Dataset) -> dict[int, Any]:
    return {int(tag): _frozen_element(element) for tag, element in level._dict.items()}


def _frozen_element(element: Any) -> Any:
    if isinstance(element, RawDataElement):
        return tuple(element)
    value = [_frozen_level(item) for item in element.value or ()] if element.VR == "SQ" else repr(element.value)
    return str(element.VR), type(element.value).__name__, value
