"""Running a 4.2 script: everything is read from the untouched data set, and the first edit of an element wins.

Belongs here: the model of dicomedit specification 7.2. Does not belong here: grammar.
"""

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import quote_plus

from inbox_pipeline.script import nodes, texts
from inbox_pipeline.script.advice import Advice, Feature
from inbox_pipeline.script.errors import Failure, RunError
from inbox_pipeline.script.functions import FUNCTIONS
from inbox_pipeline.script.functions.registry import Argument, Context, Function, Void
from inbox_pipeline.script.legacy.lint import Linter42
from inbox_pipeline.script.legacy.nodes import Definition, Edit, Statement
from inbox_pipeline.script.legacy.parser import Parser
from inbox_pipeline.script.places import Spot, find
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tagpath import TagPath
from inbox_pipeline.script.tokens import Tokenizer

_SHARED = ("substring", "format", "lowercase", "uppercase", "getURL", "replace", "match", "hashUID")
_MAX_DEPTH = 50
_VALUE_WORK = 100
_META = 2


def url_encoded(text: str) -> str:
    """Text encoded as java.net.URLEncoder does with UTF-8."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def _url_encode(context: Context, arguments: list[Argument]) -> str:
    return url_encoded(context.needed(arguments[0]))


CALLABLE = {name: FUNCTIONS[name] for name in _SHARED} | {"urlEncode": Function(_url_encode, 1, 1, "4.2")}
_RUN = CALLABLE | {"newUID": FUNCTIONS["newUID"]}


def check_call(name: str, count: int) -> str | None:
    """Why a function cannot be called with `count` arguments in DicomEdit 4.2, or None if it can."""
    function = CALLABLE.get(name)
    if function is not None:
        return None if function.accepts(count) else f"{name} takes {function.arity}"
    if name in FUNCTIONS:
        return f'{name} needs DicomEdit 6: state a version, such as version "6.1", on a line of its own'
    return f"there is no function {name} in DicomEdit 4.2, which this is, since no line states a version"


@dataclass(frozen=True)
class Program42:
    """A parsed 4.2 script."""

    source: Source
    statements: tuple[Statement, ...]
    language = "4.2"
    features: tuple[Feature, ...] = ()
    version = "4.2"

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What there is to say about the script beyond errors."""
        return Linter42(self.source, self.statements).advice

    def with_only(self, kept: Container[object]) -> "Program42":
        """The program without statements that are not `kept`."""
        return replace(self, statements=tuple(each for each in self.statements if each in kept))

    def run(self, context: Context, variables: Mapping[str, str]) -> None:
        """Edit the data set of a context. Raises RunError."""
        Evaluator42(self, context, variables).run()


def program(source: Source) -> Program42:
    """The program of a script. Raises ScriptError."""
    return Program42(source, Parser(Tokenizer(source), check_call).script())


class Evaluator42:
    """One application; names of variables are taken in any case, supplied values before those of the script."""

    def __init__(self, script: Program42, context: Context, supplied: Mapping[str, str]) -> None:
        self._script = script
        self._context = context
        self._variables: dict[str, nodes.Value] = {}
        for statement in script.statements:
            if isinstance(statement, Definition):
                self._variables.setdefault(statement.name.lower(), statement.value)
        self._variables |= {name.lower(): nodes.Literal(text, 0) for name, text in supplied.items()}
        self._depth = 0

    def run(self) -> None:
        """Decide on every element, then edit. Raises RunError."""
        decisions: dict[tuple[int, int], Decision] = {}
        for edit in self._script.statements:
            if isinstance(edit, Edit):
                with self._running(edit):
                    self._decide(edit, decisions)
        for decision in decisions.values():
            with self._running(decision.edit):
                _apply(decision)

    @contextmanager
    def _running(self, edit: Edit) -> Iterator[None]:
        """Make the line of a statement the one that changes and errors are blamed on."""
        place = self._script.source.place(edit.at)
        self._context.edits.line = place.line
        try:
            yield
        except Failure as failure:
            raise RunError(failure.message, place, failure.tag) from None

    def _decide(self, edit: Edit, decisions: "dict[tuple[int, int], Decision]") -> None:
        """Add what a statement does to elements that no earlier one has decided on."""
        spots = [spot for spot in self._spots(edit) if (id(spot.level), spot.tag) not in decisions]
        if not spots or not all(self._holds(condition) for condition in edit.conditions):
            return
        text = None if edit.value is None else self._text(edit.value) or ""
        for spot in spots:
            decisions[id(spot.level), spot.tag] = Decision(spot, edit, text)

    def _spots(self, edit: Edit) -> list[Spot]:
        """The existing elements that a statement means; one that an assignment without wildcards would create."""
        root, tag = self._context.root, edit.tag
        spots = find(root, TagPath((tag,)))
        if spots or edit.value is None or not tag.exact:
            return spots
        return [Spot(root.need_meta() if tag.number >> 16 == _META else root, tag.number)]

    def _holds(self, condition: nodes.Comparison) -> bool:
        left, right = self._text(condition.left), self._text(condition.right)
        if left is None or right is None:
            return False
        return left == right if condition.operator == "=" else self._context.matches(left, right)

    def _text(self, value: nodes.Value) -> str | None:
        return self._context.text(self._value(value))

    def _value(self, node: nodes.Value) -> Argument:
        """What a value is; variables are evaluated now."""
        if isinstance(node, nodes.Literal):
            return node.text
        if isinstance(node, nodes.PathValue):
            return node.path
        self._depth += 1
        self._context.edits.spend(_VALUE_WORK)
        if self._depth > _MAX_DEPTH:
            raise Failure("variables are defined by each other in a circle, or nested too deeply")
        try:
            return self._variable(node) if isinstance(node, nodes.Variable) else self._result(node)
        finally:
            self._depth -= 1

    def _variable(self, node: nodes.Variable) -> Argument:
        defined = self._variables.get(node.name.lower())
        if defined is None:
            raise Failure(f"the variable {node.name} has not been set")
        return self._value(defined)

    def _result(self, node: nodes.Value) -> Argument:
        if not isinstance(node, nodes.Call):
            raise TypeError(type(node))
        result = _RUN[node.name].run(self._context, [self._value(argument) for argument in node.arguments])
        if isinstance(result, Void):
            raise TypeError(node.name)
        return result


@dataclass(frozen=True)
class Decision:
    """What becomes of one element: it is deleted if `text` is None."""

    spot: Spot
    edit: Edit
    text: str | None


def _apply(decision: Decision) -> None:
    spot, text = decision.spot, decision.text
    if text is None:
        texts.remove(spot.level, spot.tag)
    else:
        texts.set_text(spot.level, spot.tag, text, unknown="LO")
