"""The checker of DicomEdit 6: what XNAT would refuse, and what has another effect than it seems to have.

Belongs here: the lint list of dicomedit specification 6, in the order in which a script runs, without a data set.
Does not belong here: errors of grammar, what is wrong with literals (`literals`), what is known at a point (`flow`).
"""

import re
from collections.abc import Iterator

from inbox_pipeline.script import nodes
from inbox_pipeline.script.advice import ERROR, NOTE, WARNING, Advice, Feature, Notebook
from inbox_pipeline.script.flow import NOTHING, Edit, Facts, Flow, Holding, covers, facts_of, key_of
from inbox_pipeline.script.functions import FUNCTIONS
from inbox_pipeline.script.literals import (
    guessable,
    leaves,
    locations,
    look_at_call,
    look_at_path,
    look_at_pattern,
    look_at_read,
    look_at_target,
    path_in,
    vr_of,
)
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tagpath import TagPath
from inbox_pipeline.script.writing import written

SUPPLIED = frozenset(["project", "subject", "session"])
"""Variables that every application supplies (dicomedit specification 4.1)."""

EDITING = frozenset(
    [
        *("removeTags", "delete", "set", "retainPrivateTags", "blankValues", "reject", "alterPixels", "hashUIDList"),
        *("mapReferencedUIDs", "shiftDateTimeSequenceByIncrement", "shiftDateTimeListByIncrement"),
        "scalePatientAgeAndDobFromStudyDate",
    ]
)
"""Functions that have no result."""

_PASSING = frozenset(["hashUID", "normalizeString", "mapUID"])
"""Functions that have no value where their first argument has none."""

_DELETING = frozenset(["removeTags", "retainPrivateTags", "isPresent"])
"""Functions whose locations are not read."""

_DATES = frozenset(["shiftDateByIncrement", "shiftDateTimeByIncrement"])
_TAKING_NULL = frozenset(["format", "lookup", *_PASSING])
_WITH_UNITS = {"shiftDateByIncrement": 2, "shiftDateTimeByIncrement": 2}
_CONDITION = re.compile(r"^[ \t]*(?:\}[ \t]*)?(?:else)?if[ \t]*(\(.*)$", re.MULTILINE)
_TAG_OR_STRING = re.compile(r'"[^"\n]*"|\([0-9A-Fa-fXx@#]{4}[ \t]*,[^()\n]*\)')
_TRAP = re.compile(r"\([0-9A-Fa-f]{4}|[0-9A-Fa-f]{4}\)")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"?')
_COMMENT = re.compile(r"(?<!:)//")


class Linter:
    """One pass over a DicomEdit 6 script."""

    def __init__(self, source: Source, statements: tuple[nodes.Statement, ...], version: str) -> None:
        self._version = version
        self._notebook = Notebook(source)
        look_at_lines(self._notebook)
        self._look_at_traps(source)
        self._run(statements, Flow())
        self._look_at_versions()

    @property
    def advice(self) -> tuple[Advice, ...]:
        """All sentences in the order of the lines."""
        return self._notebook.advice

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the script uses that later versions of the language brought, in the order of the lines."""
        return self._notebook.features

    def _look_at_traps(self, source: Source) -> None:
        for match in _CONDITION.finditer(source.text):
            trap = _TRAP.search(_TAG_OR_STRING.sub(lambda found: " " * len(found.group()), match[1]))
            if trap:
                sentence = "this will not parse in XNAT: put a blank behind ( and before )"
                self._notebook.say(match.start(1) + trap.start(), WARNING, "lexer_trap", sentence)

    def _look_at_versions(self) -> None:
        for used in self.features:
            if used.since > self._version:
                sentence = f"{used.what} needs DicomEdit {used.since}, later than the stated version {self._version}"
                self._notebook.say_of_line(used.line, used.column, WARNING, "newer_feature", sentence)

    def _run(self, statements: tuple[nodes.Statement, ...], flow: Flow) -> None:
        for statement in statements:
            if flow.ended:
                sentence = "nothing behind reject[] runs while rejections count"
                self._notebook.say(statement.at, WARNING, "unreachable", sentence)
                flow.ended = False
            if isinstance(statement, nodes.If):
                self._branches(statement, flow)
            else:
                self._statement(statement, flow)

    def _branches(self, node: nodes.If, flow: Flow) -> None:
        if self._notebook.source.text.startswith("if", node.at):
            self._notebook.uses(node.at, "6.4", "an if block")
        known = NOTHING
        branches: list[Flow] = []
        before: list[nodes.Condition | None] = []
        for number, (condition, statements) in enumerate(node.branches):
            under = key_of(condition, tuple(before))
            facts = self._condition(condition, flow.branch(node.at, frozenset(), known))
            branch = flow.branch(node.at + number, under, known.and_also(facts))
            self._run(statements, branch)
            branches.append(branch)
            known = known.and_also(NOTHING if condition is None else facts_of(condition, holds=False))
            before.append(condition)
        if node.branches[-1][0] is not None:
            branches.append(flow.branch(-node.at, key_of(None, tuple(before)), known))
        flow.join(branches)

    def _condition(self, condition: nodes.Condition | None, flow: Flow) -> Facts:
        """Look at a condition; what follows if it holds."""
        if condition is None:
            return NOTHING
        if isinstance(condition, nodes.Call):
            self._notebook.uses(condition.at, "6.7", "a function call as a condition")
            if condition.name in EDITING:
                sentence = f"{condition.name} has no result, so this never holds"
                self._notebook.say(condition.at, WARNING, "no_result", sentence)
            self._call(condition, flow)
        else:
            for value in (condition.left, condition.right):
                self._text(value, flow)
            if condition.operator.endswith("~"):
                look_at_pattern(self._notebook, condition.right)
        return facts_of(condition, holds=True)

    def _statement(self, node: nodes.Statement, flow: Flow) -> None:
        match node:
            case nodes.Assign():
                self._assign(node, flow)
            case nodes.AssignIf():
                self._assign_if(node, flow)
            case nodes.Initialize(name, value):
                self._initialize(name, value, flow)
            case nodes.Delete(path, at):
                look_at_path(self._notebook, path, at)
                self._look_at_creator(path, at)
                self._gone(path, at, flow)
            case nodes.Call():
                self._call_statement(node, flow)
            case nodes.RemoveAllPrivateTags(at):
                self._private_gone((), at, flow)
            case nodes.Echo(None, at):
                self._notebook.say(at, ERROR, "bare_echo", "echo needs a value")
            case nodes.Echo(value) if value is not None:
                self._value(value, flow)

    def _assign(self, node: nodes.Assign, flow: Flow) -> None:
        path = node.path
        if not path.singular:
            sentence = f"{path} may mean more than one element: := cannot assign to it, ?= can"
            self._notebook.say(node.at, ERROR, "wildcard_assigned", sentence)
        held = self._assigned(node, flow)
        flow.restore(path)
        if not held.missing:
            self._overwritten(path, node.at, flow)
            flow.know(path)
        hashed = isinstance(node.value, nodes.Call) and node.value.name == "hashUID"
        computed = not isinstance(node.value, nodes.Literal)
        flow.edits[str(path)] = Edit(path, flow.block, hashed, computed)

    def _overwritten(self, path: TagPath, at: int, flow: Flow) -> None:
        for edit in flow.undone(path):
            if edit.computed and edit.path == path:
                what = "was hashed" if edit.hashed else "was given a value"
                self._notebook.say(at, WARNING, "overwritten", f"{path} {what} above and is overwritten here")

    def _assign_if(self, node: nodes.AssignIf, flow: Flow) -> None:
        self._notebook.uses(node.at, "6.3" if node.path.singular else "6.5", "?=")
        self._assigned(node, flow)
        self._look_at_private(node.path, node.at, flow)

    def _assigned(self, node: nodes.Assign | nodes.AssignIf, flow: Flow) -> Holding:
        """Look at an assignment to an element; what is known of its value."""
        look_at_path(self._notebook, node.path, node.at)
        self._look_at_creator(node.path, node.at)
        held = self._text(node.value, flow)
        look_at_target(self._notebook, node.path, node.value, node.at)
        self._look_at_silence(str(node.path), held, node.at, flow)
        return held

    def _look_at_silence(self, target: str, held: Holding, at: int, flow: Flow) -> None:
        """Say what makes an assignment do nothing, unless the old value is gone or is what is missing."""
        if target in flow.replaced:
            return
        for reason in sorted(held.missing - {target}):
            why = f"{reason} is missing" if reason.startswith(("(", "*", "+", ".")) else f"{reason} finds nothing"
            self._notebook.say(at, WARNING, "silent_no_op", f"if {why}, {target} silently keeps its old value")

    def _initialize(self, name: str, value: nodes.Value, flow: Flow) -> None:
        held = self._value(value, flow)
        self._look_at_result(value)
        if isinstance(value, nodes.PathValue):
            look_at_read(self._notebook, value.path, value.at)
        flow.certain -= {name}
        flow.tried -= {name}
        flow.filled -= {name}
        flow.variables[name] = held

    def _gone(self, path: TagPath, at: int, flow: Flow) -> None:
        """Elements are deleted; say whose new value is lost with them."""
        for edit in flow.undone(path):
            what = "was hashed" if edit.hashed else "was given a value"
            self._notebook.say(at, WARNING, "deleted_after_edit", f"{edit.path} {what} above and is deleted here")
        flow.forget(path)

    def _private_gone(self, retained: tuple[TagPath, ...], at: int, flow: Flow) -> None:
        for edit in flow.standing():
            private = any(tag.creator is not None for tag in edit.path.tags)
            if private and not any(covers(path, edit.path) for path in retained):
                sentence = f"{edit.path} was given a value above and is deleted here"
                self._notebook.say(at, WARNING, "deleted_after_edit", sentence)
        flow.retained = retained
        flow.certain = frozenset(key for key in flow.certain if "{" not in key)

    def _call_statement(self, node: nodes.Call, flow: Flow) -> None:
        self._call(node, flow)
        if node.name not in EDITING:
            sentence = f"{node.name} only returns a value: without an assignment it has no effect"
            self._notebook.say(node.at, WARNING, "no_effect", sentence)
        elif node.name == "removeTags":
            for path in _paths(node.arguments):
                self._gone(path, node.at, flow)
        elif node.name == "retainPrivateTags":
            self._private_gone(tuple(_paths(node.arguments)), node.at, flow)
        elif node.name == "reject":
            flow.ended = not node.arguments or getattr(node.arguments[0], "text", "").lower() == "true"
        elif node.name == "set":
            held = self._value(node.arguments[1], flow)
            self._look_at_silence(f"{getattr(node.arguments[0], 'text', 'the element')}", held, node.at, flow)

    def _text(self, value: nodes.Value, flow: Flow) -> Holding:
        """Look at a value where one text is needed."""
        held = self._value(value, flow)
        self._look_at_result(value)
        if isinstance(value, nodes.PathValue):
            look_at_read(self._notebook, value.path, value.at)
        if held.listed:
            self._notebook.say(value.at, ERROR, "list_as_text", "a list cannot stand where one value is needed")
        return held

    def _look_at_result(self, value: nodes.Value) -> None:
        if isinstance(value, nodes.Call) and value.name in EDITING:
            sentence = f"{value.name} has no result that could be used here"
            self._notebook.say(value.at, ERROR, "no_result", sentence)

    def _value(self, value: nodes.Value, flow: Flow) -> Holding:
        """Look at a value; what is known of it."""
        match value:
            case nodes.PathValue(path, at):
                self._look_at_use(path, at, flow)
                missing = frozenset() if str(path) in flow.certain else frozenset([str(path)])
                return Holding(missing, frozenset([path]))
            case nodes.Variable(name, at):
                return self._variable(name, at, flow)
            case nodes.ListValue(members, at):
                self._notebook.uses(at, "6.6", "a list")
                for member in members:
                    self._value(member, flow)
                return Holding(listed=True, opaque=True)
            case nodes.Call():
                return self._call(value, flow)
        return Holding()

    def _look_at_use(self, path: TagPath, at: int, flow: Flow) -> None:
        look_at_path(self._notebook, path, at)
        self._look_at_creator(path, at)
        self._look_at_private(path, at, flow)
        if flow.deletions(path):
            self._notebook.say(at, WARNING, "deleted_before_read", f"{path} was deleted above")
        flow.use(path)

    def _call(self, call: nodes.Call, flow: Flow) -> Holding:
        self._notebook.uses(call.at, FUNCTIONS[call.name].since, call.name)
        if len(call.arguments) > _WITH_UNITS.get(call.name, len(call.arguments)):
            self._notebook.uses(call.at, "6.6", f"{call.name} with units")
        look_at_call(self._notebook, call)
        self._look_at_reach(call)
        held = [self._argument(call, number, flow) for number in range(len(call.arguments))]
        if call.name in ("hashUID", "hashUIDList"):
            self._look_at_hash(call, held)
        return self._result(call, held, flow)

    def _argument(self, call: nodes.Call, number: int, flow: Flow) -> Holding:
        """Look at one argument of a call, where it is a location or where it is read."""
        if call.name in _DELETING:
            flow = flow.branch(call.at, frozenset(), NOTHING)
            flow.edits.clear()
        value = call.arguments[number]
        if value in locations(call):
            if call.name != "blankValues":
                for leaf in leaves((value,)):
                    path = path_in(leaf) if isinstance(leaf, nodes.Literal) else None
                    if path is not None:
                        self._look_at_use(path, leaf.at, flow)
            return self._value(value, flow)
        if isinstance(value, nodes.PathValue) and call.name in ("set", "delete") and number == 0:
            return self._value(value, flow)
        spreads = call.name in ("concatenate", "format")
        held = self._value(value, flow) if spreads and _listed(value, flow) else self._text(value, flow)
        if held.missing and call.name not in _TAKING_NULL and call.name != "set":
            self._look_at_absence(call, held, value)
        elif call.name in _DATES and isinstance(value, nodes.PathValue):
            self._look_at_blank_date(value, flow)
        return held

    def _look_at_blank_date(self, value: nodes.PathValue, flow: Flow) -> None:
        name = written(value)
        if name not in flow.filled | flow.replaced:
            sentence = f'a file where {name} is empty fails here: ask first, as in {name} ~ ".+" ? ...'
            self._notebook.say(value.at, WARNING, "missing_date", sentence)

    def _look_at_absence(self, call: nodes.Call, held: Holding, value: nodes.Value) -> None:
        reasons = " or ".join(sorted(held.missing))
        if call.name in _DATES:
            sentence = f'a file without {reasons} fails here: ask first, as in {reasons} ~ ".+" ? ...'
            self._notebook.say(value.at, WARNING, "missing_date", sentence)
        else:
            sentence = f"{call.name} fails on a file where {reasons} gives no value"
            self._notebook.say(value.at, NOTE, "missing_value", sentence)

    def _look_at_reach(self, call: nodes.Call) -> None:
        if call.name == "lookup":
            self._notebook.say(call.at, WARNING, "not_portable", "lookup has no table in XNAT")
        if call.name == "getURL":
            sentence = "getURL fails unless the administrator has allowed the host"
            self._notebook.say(call.at, WARNING, "needs_permission", sentence)

    def _look_at_hash(self, call: nodes.Call, held: list[Holding]) -> None:
        sources = [source for each in held for source in each.sources]
        listed = [path_in(value) for value in leaves(call.arguments)] if call.name == "hashUIDList" else sources
        known = sorted((path for path in listed if path is not None), key=str)
        opaque = call.name == "hashUID" and any(each.opaque for each in held)
        if known and all(map(guessable, known)) and not opaque:
            names = " and ".join(dict.fromkeys(map(str, known)))
            self._notebook.say(
                call.at, WARNING, "guessable_hash", f"a hash of {names} can be undone by trying all values"
            )
        for path in known if call.name == "hashUIDList" else ():
            if vr_of(path) not in ("", "UI"):
                self._notebook.say(call.at, NOTE, "hashed_no_uid", f"{path} is hashed as a UID, which it is not")

    def _result(self, call: nodes.Call, held: list[Holding], flow: Flow) -> Holding:
        """What is known of the result of a call."""
        sources = frozenset(source for each in held for source in each.sources)
        opaque = any(each.opaque for each in held) or call.name in ("newUID", "getURL", "lookup")
        missing: frozenset[str] = frozenset()
        if written(call) in flow.certain:
            missing = frozenset()
        elif call.name in _PASSING:
            missing = held[0].missing
        elif call.name == "lookup" or (call.name == "match" and written(call.arguments[0]) not in flow.tried):
            missing = frozenset([call.name])
        return Holding(missing, sources, opaque, listed=call.name == "collectValues")

    def _variable(self, name: str, at: int, flow: Flow) -> Holding:
        if name in flow.variables:
            held = flow.variables[name]
            return held.having(flow.certain, name)
        if any(under <= flow.conditions for under in flow.perhaps.get(name, ())) or name in SUPPLIED:
            return Holding(opaque=True)
        if name in flow.perhaps:
            sentence = f"the variable {name} is set only in a branch above"
            self._notebook.say(at, WARNING, "perhaps_not_set", sentence)
        elif name.lower() in SUPPLIED:
            sentence = f"the variable {name} differs from the supplied one in upper and lower case"
            self._notebook.say(at, WARNING, "case_differs", sentence)
        else:
            sentence = f"the variable {name} is not set above, nor one that XNAT supplies"
            self._notebook.say(at, ERROR, "not_set", sentence)
        return Holding(opaque=True)

    def _look_at_creator(self, path: TagPath, at: int) -> None:
        if not path.portable:
            sentence = "XNAT cannot read this private creator in a tag"
            self._notebook.say(at, WARNING, "creator_not_portable", sentence)

    def _look_at_private(self, path: TagPath, at: int, flow: Flow) -> None:
        private = any(tag.creator is not None for tag in path.tags)
        if flow.retained is None or not private or str(path) in flow.certain:
            return
        if not any(covers(kept, path) or covers(path, kept) for kept in flow.retained):
            self._notebook.say(at, WARNING, "private_removed", "private elements were removed above")


def look_at_lines(notebook: Notebook) -> None:
    """Say what the lines as they were typed have in them: comments that swallow the next, continuation."""
    lines = notebook.source.lines
    for number, line in enumerate(lines, 1):
        if not line.endswith("\\") or number == len(lines):
            continue
        comment = _COMMENT.search(_STRING.sub(lambda found: "_" * len(found.group()), line))
        if comment is None:
            notebook.uses_in_line(number, len(line), "6.6", "a continued line")
        elif lines[number].strip():
            sentence = "a comment that ends in a backslash swallows the next line"
            notebook.say_of_line(number, comment.start() + 1, WARNING, "comment_swallows", sentence)


def _paths(arguments: tuple[nodes.Value, ...]) -> Iterator[TagPath]:
    """The paths that stand in arguments, quoted or not."""
    for value in leaves(arguments):
        path = path_in(value)
        if path is not None:
            yield path


def _listed(value: nodes.Value, flow: Flow) -> bool:
    """Whether a value is known to be a list."""
    if isinstance(value, nodes.Variable) and value.name in flow.variables:
        return flow.variables[value.name].listed
    return isinstance(value, nodes.ListValue) or (isinstance(value, nodes.Call) and value.name == "collectValues")
