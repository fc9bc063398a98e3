"""Values and conditions of DicomEdit 4.2 as those of DicomEdit 6.

Belongs here: what a value means on the untouched data set, said where elements may have been edited already; late
binding of variables. Does not belong here: statements, and which of them wins.
"""

import re
from collections.abc import Callable

from inbox_pipeline.script import nodes
from inbox_pipeline.script.advice import ERROR, Notebook
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions import text
from inbox_pipeline.script.legacy.lint import names_in
from inbox_pipeline.script.legacy.nodes import Definition
from inbox_pipeline.script.lint import SUPPLIED
from inbox_pipeline.script.literals import vr_of
from inbox_pipeline.script.parser import RESERVED
from inbox_pipeline.script.regex import compiled
from inbox_pipeline.script.tagpath import Digits, Tag, TagPath

ANYTHING = r"[\s\S]*"
"""What every text matches; no value does not (dicomedit specification 7.3)."""

_MAX_DEPTH = 50
_MAX_VALUES = 2000
"""How many values the variables of one statement may stand for."""

_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_UNTYPABLE = re.compile(r"(?:[^\\]|\\\\)*?\\[^\\]")
_NEVER_FAIL = frozenset(["hashUID", "newUID", "format"])
_NEED_VALUES = frozenset(["lowercase", "uppercase", "replace", "match"])


def overlap(one: Tag, other: Tag) -> bool:
    """Whether an element can be meant by both tags."""
    return _digits_overlap(one.group, other.group) and _digits_overlap(one.element, other.element)


def _digits_overlap(one: Digits, other: Digits) -> bool:
    return (one.value ^ other.value) & one.mask & other.mask == 0


class Renderer:
    """Renders values; `edited` are the tags that statements written so far edit.

    `captures` are variables for original values, by tag: they are to be set before any edit.
    """

    def __init__(self, notebook: Notebook, definitions: dict[str, Definition]) -> None:
        self._notebook = notebook
        self._definitions = definitions
        self._depth = self._count = 0
        self._names = {name: _allowed(definition.name) for name, definition in definitions.items()}
        self._judgements: dict[tuple[str, str], bool] = {}
        self.captures: dict[Tag, str] = {}
        self.edited: list[Tag] = []

    def refuse(self, at: int, sentence: str) -> None:
        """Remember why the script cannot be converted."""
        self._notebook.say(at, ERROR, "not_convertible", sentence)

    def hoisted(self) -> list[nodes.Initialize]:
        """The variables that can be set before any edit, those that others need first."""
        ordered: dict[str, nodes.Initialize] = {}
        for name in self._definitions:
            self._hoist(name, ordered)
        return list(ordered.values())

    def _hoist(self, name: str, ordered: dict[str, nodes.Initialize]) -> None:
        definition = self._definitions[name]
        if name in ordered or not self._is_set_early(name):
            return
        for needed in names_in(definition.value):
            if needed in self._definitions:
                self._hoist(needed, ordered)
        self._count = 0
        ordered[name] = nodes.Initialize(self._names[name], self.value(definition.value), definition.at)

    def _is_set_early(self, name: str) -> bool:
        value = self._definitions[name].value
        return name not in SUPPLIED and self.total(value) and not self._is_fresh(value)

    def conditions(self, given: tuple[nodes.Comparison, ...]) -> tuple[nodes.Comparison, ...]:
        """Conditions, all of which must hold."""
        self._count = 0
        return tuple(
            nodes.Comparison(self.value(each.left), each.operator, self.value(each.right), each.at) for each in given
        )

    def value(self, value: nodes.Value) -> nodes.Value:
        """A value of DicomEdit 6 that is what this one is on the untouched data set."""
        self._count += 1
        match value:
            case nodes.Literal(at=at):
                self._look_at_string(at)
            case nodes.PathValue(path, at):
                return self._read(path, at)
            case nodes.Variable(name, at):
                return self._variable(name, at)
            case nodes.Call(name, arguments, at):
                if name == "urlEncode":
                    self.refuse(at, "DicomEdit 6 has no function urlEncode")
                return nodes.Call(name, tuple(self.value(argument) for argument in arguments), at)
        return value

    def _look_at_string(self, at: int) -> None:
        match = _STRING.match(self._notebook.source.text, at)
        if match and _UNTYPABLE.match(match[1]):
            self.refuse(at, "DicomEdit 6 has no way to write this escape in a string")

    def _read(self, path: TagPath, at: int) -> nodes.Value:
        (tag,) = path.tags
        if not tag.exact:
            self.refuse(at, "a tag with wildcards has no value")
        elif tag.group.value & 1:
            self.refuse(at, "DicomEdit 6 reads a private element by its creator, which is not known here")
        elif vr_of(path) == "SQ":
            self.refuse(at, "a sequence has no text")
        elif any(overlap(edited, tag) for edited in self.edited):
            return nodes.Variable(self.original(tag), at)
        return nodes.PathValue(path, at)

    def original(self, tag: Tag) -> str:
        """The variable that holds the original value of an element."""
        return self.captures.setdefault(tag, self.free_name(f"original_{tag.group.text}{tag.element.text}"))

    def free_name(self, name: str) -> str:
        """The name, or if the script has such a variable one like it."""
        taken = {name.lower() for name in self._names.values()}
        while name.lower() in taken:
            name += "_"
        return name

    def exists(self, tag: Tag, at: int) -> nodes.Comparison:
        """The condition that an element was there from the start."""
        if tag.group.value & 1 or vr_of(TagPath((tag,))) == "SQ":
            self.refuse(at, f"DicomEdit 6 cannot ask whether {tag} was there, on which an earlier statement depends")
        return nodes.Comparison(nodes.Variable(self.original(tag), at), "~", nodes.Literal(ANYTHING, at), at)

    def _variable(self, name: str, at: int) -> nodes.Value:
        lower = name.lower()
        if lower in SUPPLIED:
            return nodes.Variable(lower, at)
        if lower not in self._definitions:
            return nodes.Variable(name, at)
        if self._is_set_early(lower):
            return nodes.Variable(self._names[lower], at)
        return self._inlined(lower, at)

    def _inlined(self, name: str, at: int) -> nodes.Value:
        """What a variable stands for, in its place: it is evaluated where it is used, or not at all."""
        if self._depth > _MAX_DEPTH or self._count > _MAX_VALUES:
            self.refuse(at, "variables are defined by each other in a circle, or nested too deeply")
            return nodes.Literal("", at)
        self._depth += 1
        try:
            return self.value(self._definitions[name].value)
        finally:
            self._depth -= 1

    def safe(self, condition: nodes.Comparison) -> bool:
        """Whether a 4.2 condition fails on no data set."""
        pattern = condition.operator != "~" or _usable(lambda: compiled(_literal(condition.right)))
        return pattern and self.total(condition.left) and self.total(condition.right)

    def total(self, value: nodes.Value) -> bool:
        """Whether evaluating a 4.2 value fails on no data set."""
        match value:
            case nodes.Variable(name):
                return name.lower() in SUPPLIED or self._judged("total", name.lower(), self.total)
            case nodes.Call(name, arguments):
                known = name in _NEVER_FAIL or (name in _NEED_VALUES and not any(map(self.nullable, arguments)))
                good = name != "format" or _usable(lambda: text.formatted(_literal(arguments[0]), []))
                fits = name != "match" or _usable(lambda: _match(arguments))
                return known and good and fits and all(map(self.total, arguments))
        return True

    def nullable(self, value: nodes.Value) -> bool:
        """Whether a 4.2 value may be no value."""
        match value:
            case nodes.PathValue():
                return True
            case nodes.Variable(name):
                return name.lower() not in SUPPLIED and self._judged("nullable", name.lower(), self.nullable)
            case nodes.Call(name, arguments):
                return name == "match" or (name == "hashUID" and self.nullable(arguments[0]))
        return False

    def _is_fresh(self, value: nodes.Value) -> bool:
        """Whether a value is another one each time it is evaluated."""
        if isinstance(value, nodes.Call):
            return value.name == "newUID" or any(map(self._is_fresh, value.arguments))
        return isinstance(value, nodes.Variable) and self._judged("fresh", value.name.lower(), self._is_fresh)

    def _judged(self, question: str, name: str, judge: Callable[[nodes.Value], bool]) -> bool:
        """What is so of a defined variable; nothing is of one that is not defined, or by itself."""
        if (question, name) not in self._judgements:
            self._judgements[question, name] = False
            definition = self._definitions.get(name)
            self._judgements[question, name] = definition is not None and judge(definition.value)
        return self._judgements[question, name]


def _allowed(name: str) -> str:
    """A name that DicomEdit 6 can read."""
    return f"{name}_" if name in RESERVED or name in ("x", "X") else name


def _literal(value: nodes.Value) -> str:
    """The text of a literal. Raises Failure for another value, of which nothing is known."""
    if not isinstance(value, nodes.Literal):
        raise Failure("not known before the script runs")
    return value.text


def _match(arguments: tuple[nodes.Value, ...]) -> None:
    compiled(_literal(arguments[1])).need_group(text.integer_of(_literal(arguments[2])))


def _usable(use: Callable[[], object]) -> bool:
    try:
        use()
    except Failure:
        return False
    return True
