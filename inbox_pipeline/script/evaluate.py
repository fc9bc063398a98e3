"""Running a parsed DicomEdit 6 script on one data set (dicomedit specification 2).

Belongs here: order, variables, conditions, what each statement does. Does not belong here: functions, matching.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from inbox_pipeline.script import nodes
from inbox_pipeline.script.advice import Advice, Feature
from inbox_pipeline.script.errors import Failure, RunError
from inbox_pipeline.script.functions import FUNCTIONS, check_call
from inbox_pipeline.script.functions.attributes import delete_spots, remove_all_private_tags
from inbox_pipeline.script.functions.registry import Argument, Context, Result, Void
from inbox_pipeline.script.lint import Linter
from inbox_pipeline.script.parser import Parser
from inbox_pipeline.script.places import find, need_singular, place_for
from inbox_pipeline.script.regex import compiled
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tagpath import TagPath
from inbox_pipeline.script.texts import set_text
from inbox_pipeline.script.tokens import Tokenizer

Variables = dict[str, Argument]


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

    def run(self, context: Context, variables: Mapping[str, str]) -> None:
        """Edit the data set of a context. Raises RunError, Rejected."""
        Evaluator(self.source, context, variables).run(self.statements)


def program(source: Source) -> Program6:
    """The program of a script. Raises ScriptError."""
    statements = Parser(Tokenizer(source), check_call).script()
    notes = (node for node in statements if isinstance(node, nodes.Note) and node.keyword == "version")
    version = next(notes, None)
    if version is None:
        raise source.error("the version is stated only inside a block or behind a continued line", 0)
    return Program6(source, statements, version.text)


class Evaluator:
    """One application: its variables, which start as the supplied ones, and its context."""

    def __init__(self, source: Source, context: Context, supplied: Mapping[str, str]) -> None:
        self._source = source
        self._context = context
        self._variables: Variables = dict(supplied)
        self._supplied = {name.lower(): text for name, text in supplied.items()}
        self._do: dict[type, Callable[..., None]] = {
            nodes.Assign: self._assign,
            nodes.AssignIf: self._assign_if,
            nodes.Initialize: self._initialize,
            nodes.Delete: self._delete,
            nodes.Call: self._call,
            nodes.Echo: self._echo,
            nodes.If: self._if,
            nodes.RemoveAllPrivateTags: self._remove_all_private_tags,
            nodes.Note: self._note,
        }

    def run(self, statements: tuple[nodes.Statement, ...]) -> None:
        """Run statements in order. Raises RunError, Rejected."""
        for statement in statements:
            self._context.edits.line = self._source.line(statement.at)
            try:
                self._do[type(statement)](statement)
            except Failure as failure:
                raise RunError(failure.message, self._source.place(statement.at), failure.tag) from None

    def _assign(self, node: nodes.Assign) -> None:
        need_singular(node.path)
        text = self._assigned(node.value)
        if text is None:
            self._context.edits.no_effect(f"there is no value to assign; {node.path} was left as it is")
            return
        spot = place_for(self._context.root, node.path)
        set_text(spot.level, spot.tag, text)

    def _assign_if(self, node: nodes.AssignIf) -> None:
        text = self._assigned(node.value)
        spots = find(self._context.root, node.path)
        if text is None:
            if spots:
                self._context.edits.no_effect(f"there is no value to assign; what {node.path} means was left as it is")
            return
        for spot in spots:
            if spot.item is not None:
                raise Failure("an item cannot be assigned to", spot.path)
            if spot.level.has(spot.tag):
                set_text(spot.level, spot.tag, text)

    def _assigned(self, value: nodes.Value) -> str | None:
        """The text to be assigned; None if there is no value. Raises Failure for a list."""
        return self._context.text(self._value(value))

    def _initialize(self, node: nodes.Initialize) -> None:
        value = self._value(node.value)
        self._variables[node.name] = self._context.read(value) if isinstance(value, TagPath) else value

    def _delete(self, node: nodes.Delete) -> None:
        delete_spots(find(self._context.root, node.path))

    def _call(self, node: nodes.Call) -> None:
        self._result(node)

    def _echo(self, node: nodes.Echo) -> None:
        """Evaluated, since that may fail, but printed nowhere: the value may identify the patient."""
        if node.value is None:
            raise Failure("echo needs a value")
        self._value(node.value)

    def _remove_all_private_tags(self, node: nodes.RemoveAllPrivateTags) -> None:
        remove_all_private_tags(self._context.root)

    def _note(self, node: nodes.Note) -> None:
        """version, describe and export have no effect on a data set."""

    def _if(self, node: nodes.If) -> None:
        for condition, statements in node.branches:
            if condition is None or self._holds(condition):
                self.run(statements)
                return

    def _holds(self, condition: nodes.Condition) -> bool:
        """Whether a condition is true (dicomedit specification 2.3)."""
        if isinstance(condition, nodes.Call):
            result = self._result(condition)
            return isinstance(result, str) and result.lower() == "true"
        left, right = self._operand(condition.left), self._operand(condition.right)
        negated = condition.operator.startswith("!")
        if left is None or right is None:
            return negated
        equal = left == right if condition.operator.endswith("=") else compiled(right).whole(left)
        return equal != negated

    def _operand(self, value: nodes.Value) -> str | None:
        return self._context.text(self._value(value))

    def _value(self, node: nodes.Value) -> Argument:
        """What a value is: text, no value, a list, or a path that is not read yet."""
        if isinstance(node, nodes.Literal):
            return node.text
        if isinstance(node, nodes.Variable):
            return self._variable(node.name)
        if isinstance(node, nodes.PathValue):
            return node.path
        if isinstance(node, nodes.ListValue):
            return [self._value(member) for member in node.members]
        result = self._result(node)
        if isinstance(result, Void):
            raise Failure(f"{node.name} has no result that could be used here")
        return result

    def _variable(self, name: str) -> Argument:
        """A variable's value; a supplied one is found in any case, as in XNAT."""
        if name in self._variables:
            return self._variables[name]
        if name.lower() in self._supplied:
            return self._supplied[name.lower()]
        raise Failure(f"the variable {name} has not been set")

    def _result(self, node: nodes.Call) -> Result:
        arguments = [self._value(argument) for argument in node.arguments]
        return FUNCTIONS[node.name].run(self._context, arguments)
