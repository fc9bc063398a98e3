"""The checker of DicomEdit 4.2: statements without effect, and what fails whenever it is reached.

Belongs here: what follows from reading the untouched data set and from the first statement winning (dicomedit
specification 7.1). Does not belong here: what is wrong with literals (`literals`), translation into DicomEdit 6.
"""

from inbox_pipeline.script import nodes
from inbox_pipeline.script.advice import ERROR, NOTE, WARNING, Advice, Notebook
from inbox_pipeline.script.flow import digits_cover
from inbox_pipeline.script.legacy.nodes import Definition, Edit, Statement
from inbox_pipeline.script.lint import SUPPLIED, look_at_lines
from inbox_pipeline.script.literals import (
    guessable,
    look_at_call,
    look_at_path,
    look_at_pattern,
    look_at_read,
    look_at_target,
    vr_of,
)
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tagpath import Tag, TagPath
from inbox_pipeline.script.writing import written_condition


class Linter42:
    """One pass over a 4.2 script."""

    def __init__(self, source: Source, statements: tuple[Statement, ...]) -> None:
        self._notebook = Notebook(source)
        self._definitions: dict[str, Definition] = {}
        self._edits: list[Edit] = []
        look_at_lines(self._notebook)
        for statement in statements:
            if isinstance(statement, Definition):
                self._define(statement)
        for statement in statements:
            if isinstance(statement, Edit):
                self._edit(statement)
            else:
                self._value(statement.value)
                self._look_at_circle(statement)
        self._look_at_nested()

    @property
    def advice(self) -> tuple[Advice, ...]:
        """All sentences in the order of the lines."""
        return self._notebook.advice

    def _define(self, node: Definition) -> None:
        name = node.name.lower()
        if name in SUPPLIED:
            sentence = f"the variable {node.name} is supplied: this definition of it has no effect"
            self._notebook.say(node.at, WARNING, "definition_ignored", sentence)
        elif name in self._definitions:
            sentence = f"the variable {node.name} is defined above, where it keeps its value from"
            self._notebook.say(node.at, WARNING, "definition_ignored", sentence)
        self._definitions.setdefault(name, node)

    def _look_at_circle(self, node: Definition) -> None:
        if node.name.lower() in self._needed_by(node.value):
            sentence = f"the variable {node.name} is defined by itself"
            self._notebook.say(node.at, ERROR, "circular", sentence)

    def _needed_by(self, value: nodes.Value) -> set[str]:
        """The variables that a value is made of, by way of others too."""
        found: set[str] = set()
        waiting = names_in(value)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self._definitions:
                waiting += names_in(self._definitions[name].value)
            found.add(name)
        return found

    def _edit(self, node: Edit) -> None:
        path = TagPath((node.tag,))
        for condition in node.conditions:
            self._condition(condition)
        look_at_path(self._notebook, path, node.at)
        if node.value is not None:
            self._value(node.value)
            self._read(node.value)
            look_at_target(self._notebook, path, node.value, node.at)
        self._look_at_earlier(node)
        self._edits.append(node)

    def _look_at_earlier(self, node: Edit) -> None:
        """Say if an earlier statement always takes the elements of this one: the first that applies wins."""
        conditions = _written(node)
        for earlier in self._edits:
            if covers(earlier.tag, node.tag) and _written(earlier) <= conditions:
                line = self._notebook.source.line(earlier.at)
                sentence = f"{node.tag} is decided on line {line} already: the first statement that applies wins"
                self._notebook.say(node.at, WARNING, "shadowed", sentence)
                return

    def _condition(self, condition: nodes.Comparison) -> None:
        for value in (condition.left, condition.right):
            self._value(value)
            self._read(value)
        if condition.operator == "~":
            look_at_pattern(self._notebook, condition.right)

    def _read(self, value: nodes.Value) -> None:
        if isinstance(value, nodes.PathValue):
            look_at_read(self._notebook, value.path, value.at)

    def _value(self, value: nodes.Value) -> None:
        match value:
            case nodes.PathValue(path, at):
                look_at_path(self._notebook, path, at)
            case nodes.Variable(name, at) if name.lower() not in SUPPLIED | self._definitions.keys():
                sentence = f"the variable {name} is neither defined nor one that XNAT supplies"
                self._notebook.say(at, ERROR, "not_set", sentence)
            case nodes.Call():
                self._call(value)

    def _call(self, call: nodes.Call) -> None:
        look_at_call(self._notebook, call)
        for argument in call.arguments:
            self._value(argument)
            self._read(argument)
        if call.name == "getURL":
            sentence = "getURL fails unless the administrator has allowed the host"
            self._notebook.say(call.at, WARNING, "needs_permission", sentence)
        source = self._resolved(call.arguments[0]) if call.name == "hashUID" else None
        if isinstance(source, nodes.PathValue) and guessable(source.path):
            sentence = f"a hash of {source.path} can be undone by trying all values"
            self._notebook.say(call.at, WARNING, "guessable_hash", sentence)

    def _resolved(self, value: nodes.Value) -> nodes.Value:
        """A value, or what the variable that it is was defined as."""
        definition = self._definitions.get(value.name.lower()) if isinstance(value, nodes.Variable) else None
        return value if definition is None else definition.value

    def _look_at_nested(self) -> None:
        """Say once that sequences stay as they are, where a script seems to count on more."""
        for edit in self._edits:
            all_private = edit.value is None and edit.tag.group.text == "XXX#"
            if all_private or vr_of(TagPath((edit.tag,))) == "UI":
                sentence = "DicomEdit 4.2 edits the root alone: what lies in sequences stays as it is"
                self._notebook.say(edit.at, NOTE, "root_only", sentence)
                return


def names_in(value: nodes.Value) -> list[str]:
    """The variables in a value, in lower case."""
    if isinstance(value, nodes.Call):
        return [name for argument in value.arguments for name in names_in(argument)]
    return [value.name.lower()] if isinstance(value, nodes.Variable) else []


def covers(wide: Tag, narrow: Tag) -> bool:
    """Whether every element that one tag means is meant by the other as well."""
    return digits_cover(wide.group, narrow.group) and digits_cover(wide.element, narrow.element)


def _written(edit: Edit) -> frozenset[str]:
    return frozenset(map(written_condition, edit.conditions))
