"""Running a parsed DicomEdit 6 script on one data set (dicomedit specification 2).

Belongs here: order, variables, conditions, what each statement does. Does not belong here: functions, matching.
Statements and values are made into Python functions once, when the script is compiled; an application calls these.
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from inbox_pipeline.script import nodes
from inbox_pipeline.script.advice import Advice, Feature
from inbox_pipeline.script.errors import Failure, RunError
from inbox_pipeline.script.functions import FUNCTIONS, check_call
from inbox_pipeline.script.functions.attributes import delete_spots, remove_all_private_tags
from inbox_pipeline.script.functions.registry import Argument, Context, Result, Void
from inbox_pipeline.script.lint import Linter
from inbox_pipeline.script.parser import Parser
from inbox_pipeline.script.places import find, need_singular, place_for
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tagpath import TagPath
from inbox_pipeline.script.texts import set_text
from inbox_pipeline.script.tokens import Tokenizer

MAX_MEMBERS = 10_000


@dataclass
class Application:
    """One application of a script: its context, and its variables, which start as the supplied ones."""

    source: Source
    context: Context
    variables: dict[str, Argument]
    supplied: dict[str, str]

    def variable(self, name: str) -> Argument:
        """A variable's value; a supplied one is found in any case, as in XNAT. Raises Failure if there is none."""
        if name in self.variables:
            return self.variables[name]
        if name.lower() in self.supplied:
            return self.supplied[name.lower()]
        raise Failure(f"the variable {name} has not been set")

    def run(self, steps: "tuple[Step, ...]") -> None:
        """Carry out statements in order. Raises RunError, Rejected."""
        edits = self.context.edits
        for step in steps:
            edits.line = step.line
            try:
                step.act(self)
            except Failure as failure:
                raise RunError(failure.message, self.source.place(step.at), failure.tag) from None


Act = Callable[[Application], None]
Holds = Callable[[Application], bool]
Text = Callable[[Application], str | None]
Value = Callable[[Application], Argument]


class Step(NamedTuple):
    """A statement that is ready to be carried out, and where it stands."""

    line: int
    at: int
    act: Act


@dataclass(frozen=True)
class Program6:
    """A parsed DicomEdit 6 script."""

    source: Source
    statements: tuple[nodes.Statement, ...]
    version: str
    language = "6.x"

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What there is to say about the script beyond errors."""
        return Linter(self.source, self.statements, self.version).advice

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the script uses that later versions of the language brought."""
        return Linter(self.source, self.statements, self.version).features

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The statements, ready to be carried out."""
        return _steps(self.source, self.statements)

    def with_only(self, kept: Container[object]) -> "Program6":
        """The program without statements that are not `kept`."""
        return replace(self, statements=tuple(each for each in self.statements if each in kept))

    def run(self, context: Context, variables: Mapping[str, str]) -> None:
        """Edit the data set of a context. Raises RunError, Rejected."""
        supplied = {name.lower(): text for name, text in variables.items()}
        Application(self.source, context, dict(variables), supplied).run(self.steps)


def program(source: Source) -> Program6:
    """The program of a script. Raises ScriptError."""
    statements = Parser(Tokenizer(source), check_call).script()
    notes = (node for node in statements if isinstance(node, nodes.Note) and node.keyword == "version")
    version = next(notes, None)
    if version is None:
        raise source.error("the version is stated only inside a block or behind a continued line", 0)
    return Program6(source, statements, version.text)


def _steps(source: Source, statements: tuple[nodes.Statement, ...]) -> tuple[Step, ...]:
    """Statements, ready to be carried out; version, describe and export have no effect on a data set."""
    return tuple(
        Step(
            source.line(node.at), node.at, _if(node, source) if isinstance(node, nodes.If) else _ACTS[type(node)](node)
        )
        for node in statements
        if not isinstance(node, nodes.Note)
    )


def _if(node: nodes.If, source: Source) -> Act:
    branches = [(_condition(condition), _steps(source, inner)) for condition, inner in node.branches]

    def act(application: Application) -> None:
        for holds, steps in branches:
            if holds(application):
                application.run(steps)
                return

    return act


def _assign(node: nodes.Assign) -> Act:
    path, text_of = node.path, _text(node.value)

    def act(application: Application) -> None:
        need_singular(path)
        text = text_of(application)
        if text is None:
            application.context.edits.no_effect(f"there is no value to assign; {path} was left as it is")
            return
        spot = place_for(application.context.root, path)
        set_text(spot.level, spot.tag, text)

    return act


def _assign_if(node: nodes.AssignIf) -> Act:
    path, text_of = node.path, _text(node.value)

    def act(application: Application) -> None:
        text = text_of(application)
        spots = find(application.context.root, path)
        if text is None:
            if spots:
                no_effect = application.context.edits.no_effect
                no_effect(f"there is no value to assign; what {path} means was left as it is")
            return
        for spot in spots:
            if spot.item is not None:
                raise Failure("an item cannot be assigned to", spot.path)
            if spot.level.has(spot.tag):
                set_text(spot.level, spot.tag, text)

    return act


def _initialize(node: nodes.Initialize) -> Act:
    name, value_of = node.name, _value(node.value)

    def act(application: Application) -> None:
        value = value_of(application)
        application.variables[name] = application.context.read(value) if isinstance(value, TagPath) else value

    return act


def _delete(node: nodes.Delete) -> Act:
    path = node.path
    return lambda application: delete_spots(find(application.context.root, path))


def _call(node: nodes.Call) -> Act:
    result_of = _result(node)

    def act(application: Application) -> None:
        result_of(application)

    return act


def _echo(node: nodes.Echo) -> Act:
    """Evaluated, since that may fail, but printed nowhere: the value may identify the patient."""
    value_of = _value(node.value) if node.value is not None else None

    def act(application: Application) -> None:
        if value_of is None:
            raise Failure("echo needs a value")
        value_of(application)

    return act


def _remove_all_private_tags(node: nodes.RemoveAllPrivateTags) -> Act:
    return lambda application: remove_all_private_tags(application.context.root)


_ACTS: dict[type, Callable[[Any], Act]] = {
    nodes.Assign: _assign,
    nodes.AssignIf: _assign_if,
    nodes.Initialize: _initialize,
    nodes.Delete: _delete,
    nodes.Call: _call,
    nodes.Echo: _echo,
    nodes.RemoveAllPrivateTags: _remove_all_private_tags,
}


def _condition(node: nodes.Condition | None) -> Holds:
    """Whether a condition is true (dicomedit specification 2.3); that of an `else` always is."""
    if node is None:
        return lambda application: True
    return _call_holds(node) if isinstance(node, nodes.Call) else _comparison(node)


def _call_holds(node: nodes.Call) -> Holds:
    result_of = _result(node)

    def holds(application: Application) -> bool:
        result = result_of(application)
        return isinstance(result, str) and result.lower() == "true"

    return holds


def _comparison(node: nodes.Comparison) -> Holds:
    left_of, right_of = _text(node.left), _text(node.right)
    negated, same = node.operator.startswith("!"), node.operator.endswith("=")

    def holds(application: Application) -> bool:
        left, right = left_of(application), right_of(application)
        if left is None or right is None:
            return negated
        equal = left == right if same else application.context.matches(left, right)
        return equal != negated

    return holds


def _text(node: nodes.Value) -> Text:
    """The text of a value; None if it has none. What is returned raises Failure for a list."""
    match node:
        case nodes.Literal(text):
            return lambda application: text
        case nodes.PathValue(path):
            return lambda application: application.context.read(path)
    value_of = _value(node)
    return lambda application: application.context.text(value_of(application))


def _value(node: nodes.Value) -> Value:
    """What a value is: text, no value, a list, or a path that is not read yet."""
    match node:
        case nodes.Literal(text):
            return lambda application: text
        case nodes.Variable(name):
            return lambda application: application.variable(name)
        case nodes.PathValue(path):
            return lambda application: path
        case nodes.ListValue(members):
            return _list(tuple(map(_value, members)))
        case nodes.Call():
            return _needed_result(node)
    raise TypeError(type(node))


def _list(members: tuple[Value, ...]) -> Value:
    """The members, and those of lists among them: no function asks how lists stand in each other."""

    def value(application: Application) -> Argument:
        made: list[Argument] = []
        for member_of in members:
            member = member_of(application)
            made += member if isinstance(member, list) else [member]
        if len(made) > MAX_MEMBERS:
            raise Failure(f"a list may have at most {MAX_MEMBERS} members")
        application.context.edits.spend(len(made))
        return made

    return value


def _needed_result(node: nodes.Call) -> Value:
    name, result_of = node.name, _result(node)

    def value(application: Application) -> Argument:
        result = result_of(application)
        if isinstance(result, Void):
            raise Failure(f"{name} has no result that could be used here")
        return result

    return value


def _result(node: nodes.Call) -> Callable[[Application], Result]:
    run, arguments = FUNCTIONS[node.name].run, tuple(map(_value, node.arguments))
    return lambda application: run(application.context, [value_of(application) for value_of in arguments])
