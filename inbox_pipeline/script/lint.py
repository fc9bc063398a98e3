"""Advice about scripts that compile: what XNAT would refuse, and what has another effect than it seems to have.

Belongs here: the lint list of dicomedit specification 6 that needs no data set. Does not belong here: errors.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from inbox_pipeline.script import nodes
from inbox_pipeline.script.functions import FUNCTIONS
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tagpath import Tag, TagPath

SUPPLIED = frozenset(["project", "subject", "session"])
"""Variables that every application supplies (dicomedit specification 4.1)."""

_ONLY_RETURN = frozenset(name for name in FUNCTIONS if name.startswith("shiftDate") and name.endswith("ByIncrement"))
_IN_PLACE = frozenset(["shiftDateTimeSequenceByIncrement", "shiftDateTimeListByIncrement"])
_GUESSABLE = frozenset(["DA", "TM", "DT", "AS", "DS", "IS"])
_CONDITION = re.compile(r"^[ \t]*(?:\}[ \t]*)?(?:else)?if[ \t]*(\(.*)$", re.MULTILINE)
_TAG_OR_STRING = re.compile(r'"[^"\n]*"|\([0-9A-Fa-fXx@#]{4}[ \t]*,[^()\n]*\)')
_TRAP = re.compile(r"\([0-9A-Fa-f]{4}|[0-9A-Fa-f]{4}\)")


@dataclass(frozen=True, order=True)
class Advice:
    """A sentence about a line of a script."""

    line: int
    sentence: str


class Linter:
    """One pass over a DicomEdit 6 script."""

    def __init__(self, source: Source, statements: tuple[nodes.Statement, ...], version: str) -> None:
        self._source = source
        self._version = version
        self._advice: set[Advice] = set()
        self._set: set[str] = set(SUPPLIED)
        self._perhaps_set: set[str] = set()
        self._private_gone = False
        self._hashed: set[TagPath] = set()
        self._look_at_text()
        self._look_at(statements, guards=frozenset(), certain=True)

    @property
    def advice(self) -> tuple[Advice, ...]:
        """All sentences in the order of the lines."""
        return tuple(sorted(self._advice))

    def _say(self, at: int, sentence: str) -> None:
        self._advice.add(Advice(self._source.line(at), sentence))

    def _look_at_text(self) -> None:
        for number, line in enumerate(self._source.lines, 1):
            if line.endswith("\\") and "//" in line:
                self._advice.add(Advice(number, "a comment that ends in a backslash swallows the next line"))
        for match in _CONDITION.finditer(self._source.text):
            if _TRAP.search(_TAG_OR_STRING.sub(" ", match[1])):
                sentence = "this will not parse in XNAT: put a blank behind ( and before )"
                self._say(match.start(1), sentence)

    def _look_at(self, statements: tuple[nodes.Statement, ...], guards: frozenset[TagPath], certain: bool) -> None:
        for statement in statements:
            if isinstance(statement, nodes.If):
                self._branches(statement, guards)
            else:
                self._statement(statement, guards, certain)

    def _branches(self, node: nodes.If, guards: frozenset[TagPath]) -> None:
        if self._source.text.startswith("if", node.at):
            self._needs("6.4", "an if block", node.at)
        for condition, statements in node.branches:
            guards |= {path for value in _operands(condition) for path in self._paths(value)}
            if isinstance(condition, nodes.Call):
                self._needs("6.7", "a function call as a condition", condition.at)
            self._look_at(statements, guards, certain=False)

    def _statement(self, node: nodes.Statement, guards: frozenset[TagPath], certain: bool) -> None:
        match node:
            case nodes.Assign(path, value, at) | nodes.AssignIf(path, value, at):
                self._assignment(path, value, at, guards)
                if isinstance(node, nodes.AssignIf):
                    self._needs("6.3" if path.singular else "6.5", "?=", at)
            case nodes.Initialize(name, value):
                self._paths(value)
                (self._set if certain else self._perhaps_set).add(name)
            case nodes.Delete(path, at):
                self._path(path, at)
                if certain and path in self._hashed:
                    self._say(at, f"{path} was hashed above and is deleted here")
            case nodes.Call(name, _, at):
                self._paths(node)
                if name in _ONLY_RETURN - _IN_PLACE:
                    self._say(at, f"{name} only returns a date: without an assignment it has no effect")
            case nodes.RemoveAllPrivateTags():
                self._private_gone = True
            case nodes.Echo(value) if value is not None:
                self._paths(value)

    def _assignment(self, path: TagPath, value: nodes.Value, at: int, guards: frozenset[TagPath]) -> None:
        self._path(path, at)
        sources = self._paths(value)
        if isinstance(value, nodes.PathValue) and value.path != path and value.path not in guards:
            self._say(at, f"if {value.path} is missing, {path} silently keeps its old value")
        if isinstance(value, nodes.Call) and value.name == "hashUID":
            self._hashed.add(path)
            for source in sources:
                if source.number is not None and _vr(source.number) in _GUESSABLE:
                    self._say(at, f"a hash of {source} can be undone by trying all values")

    def _paths(self, value: nodes.Value) -> list[TagPath]:
        """The paths in a value, each looked at, with the variables and functions there."""
        match value:
            case nodes.PathValue(path, at):
                self._path(path, at, read=True)
                return [path]
            case nodes.Variable(name, at):
                self._variable(name, at)
            case nodes.ListValue(members, at):
                self._needs("6.6", "a list", at)
                return [path for member in members for path in self._paths(member)]
            case nodes.Call(name, arguments, at):
                self._needs(FUNCTIONS[name].since, name, at)
                if name == "lookup":
                    self._say(at, "lookup has no table in XNAT")
                return [path for argument in arguments for path in self._paths(argument)]
        return []

    def _variable(self, name: str, at: int) -> None:
        if name in self._set:
            return
        if name in self._perhaps_set:
            self._say(at, f"the variable {name} is set only in a branch above")
        elif name.lower() in SUPPLIED:
            self._say(at, f"the variable {name} differs from the supplied one in upper and lower case")
        else:
            self._say(at, f"the variable {name} is not set above, nor one that XNAT supplies")

    def _path(self, path: TagPath, at: int, read: bool = False) -> None:
        if not path.portable:
            self._say(at, "XNAT cannot read this private creator in a tag")
        if read and self._private_gone and any(tag.creator is not None for tag in path.tags):
            self._say(at, "private elements were removed above")
        for tag in _unknown(path):
            self._say(at, f"{tag} is not in the dictionary of DICOM elements")

    def _needs(self, version: str, what: str, at: int) -> None:
        if version > self._version:
            self._say(at, f"{what} needs DicomEdit {version}, later than the stated version")


def _operands(condition: nodes.Condition | None) -> tuple[nodes.Value, ...]:
    if condition is None:
        return ()
    return (condition,) if isinstance(condition, nodes.Call) else (condition.left, condition.right)


def _unknown(path: TagPath) -> Iterator[Tag]:
    for tag in path.tags:
        if tag.creator is None and tag.exact and not dictionary_has_tag(tag.number):
            yield tag


def _vr(tag: int) -> str:
    return dictionary_VR(tag) if dictionary_has_tag(tag) else ""
