"""DicomEdit 4.2 scripts as DicomEdit 6 scripts of the same effect on root elements.

Belongs here: the migration table of dicomedit specification 7.3, whole: which statement wins, said in a language where
the last one does. Does not belong here: values (`legacy/rendering`), the text of statements (`writing`), comments
(`legacy/comments`).

In 4.2 the first statement that applies to an element wins. So the statements on one element become one chain of
branches. A statement with wildcards that shares elements with others runs before them; the chain of each such element
then gives it what an earlier statement says, and leaves it alone where the wildcards win.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from inbox_pipeline.script import nodes
from inbox_pipeline.script.advice import ERROR, NOTE, WARNING, Advice, Notebook
from inbox_pipeline.script.legacy import program
from inbox_pipeline.script.legacy.comments import Comments
from inbox_pipeline.script.legacy.lint import covers
from inbox_pipeline.script.legacy.nodes import Definition, Edit
from inbox_pipeline.script.legacy.rendering import ANYTHING, Renderer, overlap
from inbox_pipeline.script.lint import SUPPLIED
from inbox_pipeline.script.literals import vr_of
from inbox_pipeline.script.script import compile_script
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tagpath import Digits, Tag, TagPath
from inbox_pipeline.script.writing import written, written_condition, written_statement

_OLDEST, _NEWEST = "6.1", "6.7"
_ALL_PRIVATE = ("XXX#", "XXXX")
_NO, _YES = "no", "yes"
Statements = tuple[nodes.Statement, ...]


@dataclass(frozen=True)
class Conversion:
    """A converted script. `version` is the lowest that has all it uses; `notes` say where its meaning differs."""

    text: str
    version: str
    notes: tuple[Advice, ...]


class NotConvertible(ValueError):
    """A script that DicomEdit 6 cannot say; `refusals` give each place and reason."""

    def __init__(self, refusals: tuple[Advice, ...]) -> None:
        super().__init__("; ".join(f"line {each.line}, column {each.column}: {each.sentence}" for each in refusals))
        self.refusals = refusals


def convert(text: str) -> Conversion:
    """Convert a 4.2 script. Raises ScriptError if it does not compile, NotConvertible if it has no equal in 6.x."""
    source = Source(text)
    notebook = Notebook(source)
    if compile_script(text).language != "4.2":
        Renderer(notebook, {}).refuse(0, "this script states a version: it is DicomEdit 6 already")
        raise NotConvertible(notebook.advice)
    lines = Converter(source, notebook).lines()
    refusals = tuple(each for each in notebook.advice if each.severity == ERROR)
    if refusals:
        raise NotConvertible(refusals)
    version = _version(lines)
    return Conversion("\n".join([f'version "{version}"', *lines]) + "\n", version, notebook.advice)


def _version(lines: list[str]) -> str:
    """The lowest version that has everything the lines use."""
    features = compile_script("\n".join([f'version "{_NEWEST}"', *lines])).features
    return max([_OLDEST, *(used.since for used in features)])


class Converter:
    """One conversion; what it cannot do, and what changes, goes into the notebook."""

    def __init__(self, source: Source, notebook: Notebook) -> None:
        self._source = source
        self._notebook = notebook
        statements = program(source).statements
        self._comments = Comments(source, statements)
        definitions: dict[str, Definition] = {}
        for statement in statements:
            if isinstance(statement, Definition):
                definitions.setdefault(statement.name.lower(), statement)
        self._definitions = [statement for statement in statements if isinstance(statement, Definition)]
        self._renderer = Renderer(notebook, definitions)
        self._look_at_definitions(definitions)
        self._edits = self._live([statement for statement in statements if isinstance(statement, Edit)])

    def _look_at_definitions(self, first: dict[str, Definition]) -> None:
        for node in self._definitions:
            if node.name.lower() in SUPPLIED:
                self._note(node.at, f"left out: {node.name} is supplied, and that value wins")
            elif first[node.name.lower()] is not node:
                self._note(node.at, f"left out: {node.name} is defined above, and that definition wins")

    def lines(self) -> list[str]:
        """The lines of the converted script behind its version."""
        hoisted = {node.at: node for node in self._renderer.hoisted()}
        set_early = [line for node in hoisted.values() for line in self._commented([node.at], (node,))]
        set_early += [c for node in self._definitions if node.at not in hoisted for c in self._comments.above(node.at)]
        edits = [line for places, body in self._blocks() for line in self._commented(places, body)]
        captures = [f"{name} := {TagPath((tag,))}" for tag, name in self._renderer.captures.items()]
        return [*self._comments.first(), *captures, *set_early, *edits, *self._comments.last()]

    def _commented(self, places: list[int], body: Statements) -> Iterator[str]:
        """The lines of a block with the comments of the statements that it was made of."""
        for at in places:
            yield from self._comments.above(at)
        lines = [line for node in body for line in written_statement(node)]
        behind = [comment for at in places for comment in self._comments.behind(at)]
        if len(lines) == 1 and len(behind) == 1:
            yield f"{lines[0]} {behind[0]}"
        else:
            yield from behind
            yield from lines

    def _live(self, edits: list[Edit]) -> list[Edit]:
        """The edits that can apply to anything; for the others it is said which earlier one always wins."""
        live: list[Edit] = []
        rest_goes = any(_all_private(edit) and not edit.conditions for edit in edits)
        for edit in (self._public_only(edit, rest_goes) for edit in edits):
            self._look_at_tag(edit)
            winners = (earlier for earlier in live if _always_wins(earlier, edit))
            safe = all(map(self._renderer.safe, edit.conditions))
            winner = next((earlier for earlier in winners if safe or not earlier.conditions), None)
            if winner is None:
                live.append(edit)
                continue
            line = self._source.line(winner.at)
            self._note(edit.at, f"left out: line {line} always decides on {edit.tag} first")
        return live

    def _public_only(self, edit: Edit, rest_goes: bool) -> Edit:
        """A statement on groups that end in X as one on public groups; `rest_goes` if private elements go anyway."""
        group = edit.tag.group.text
        if not group.endswith("X"):
            return edit
        if edit.value is not None or not rest_goes:
            sentence = f"private elements of the groups {group} are not meant any more: DicomEdit 6 needs their creator"
            self._notebook.say(edit.at, WARNING, "meaning_changes", sentence)
        return replace(edit, tag=Tag(Digits.of(f"{group[:3]}@"), edit.tag.element))

    def _look_at_tag(self, edit: Edit) -> None:
        tag = edit.tag
        private = tag.group.text[-1] in "13579BDF#"
        if private and not tag.exact and not _all_private(edit):
            self._refuse(edit, "DicomEdit 6 means private elements by their creator, which is not known here")

    def _blocks(self) -> Iterator[tuple[list[int], Statements]]:
        """Blocks of statements in the order of the new script, with the places that they come from."""
        bulk = [edit for edit in self._edits if not edit.tag.exact and self._is_shared(edit)]
        for edit in reversed(bulk):
            self._look_at_order(edit, bulk[: bulk.index(edit)])
            yield [edit.at], self._finished(edit.tag, self._nested(self._tests(edit), self._action(edit)))
        done = set(map(id, bulk))
        for edit in self._edits:
            if id(edit) not in done:
                same = [other for other in self._edits if other.tag == edit.tag]
                done |= set(map(id, same))
                yield [each.at for each in same], self._finished(edit.tag, self._whole_chain(edit))

    def _is_shared(self, edit: Edit) -> bool:
        return any(other is not edit and overlap(other.tag, edit.tag) for other in self._edits)

    def _look_at_order(self, edit: Edit, earlier: list[Edit]) -> None:
        """Refuse a deletion by wildcards behind an assignment by wildcards to some of the same elements."""
        for other in earlier:
            if edit.value is None and other.value is not None and overlap(other.tag, edit.tag):
                line = self._source.line(other.at)
                self._refuse(edit, f"it would delete what line {line} assigns: both have wildcards")

    def _finished(self, tag: Tag, body: Statements) -> Statements:
        """A rendered block, whose tag counts as edited from now on."""
        self._renderer.edited.append(tag)
        return body

    def _whole_chain(self, edit: Edit) -> Statements:
        members = [other for other in self._edits if covers(other.tag, edit.tag)]
        if not edit.tag.exact:
            members = [edit]
        while not members[-1].tag.exact and len(members) > 1:
            members.pop()
        return self._chain(members, edit.tag)

    def _chain(self, members: list[Edit], tag: Tag) -> Statements:
        """Branches of which the first that applies to an element decides on it."""
        first, *rest = members
        tests = self._tests(first, tag, asks=any(_creates(other) for other in rest))
        body = self._action(first) if first.tag == tag else ()
        if rest and not tests:
            return body
        if not rest or not tests:
            return self._nested(tests, body)
        if len(tests) > 1:
            return self._flagged(tests, body, rest, tag)
        return _branched(tests[0], body, self._chain(rest, tag))

    def _flagged(self, tests: tuple[nodes.Comparison, ...], body: Statements, rest: list[Edit], tag: Tag) -> Statements:
        """As `_chain`, where several conditions must hold at once: a variable remembers whether they did."""
        at = tests[0].at
        flag = self._renderer.free_name(f"decided_{tag.group.text}{tag.element.text}_{self._source.line(at)}")
        mark = nodes.Initialize(flag, nodes.Literal(_YES, at), at)
        open_ = nodes.Comparison(nodes.Variable(flag, at), "=", nodes.Literal(_NO, at), at)
        return (
            nodes.Initialize(flag, nodes.Literal(_NO, at), at),
            *self._nested(tests, (mark, *body)),
            nodes.If(((open_, self._chain(rest, tag)),), at),
        )

    def _tests(self, edit: Edit, tag: Tag | None = None, asks: bool = False) -> tuple[nodes.Comparison, ...]:
        """The conditions of a statement; also that the element was there, if that matters (`asks`).

        4.2 looks at conditions only where there is an element; so must we, if looking at them may fail.
        """
        renderer = self._renderer
        safe = all(map(renderer.safe, edit.conditions)) and (edit.value is None or renderer.total(edit.value))
        conditions = renderer.conditions(edit.conditions)
        if _creates(edit):
            return conditions
        if not edit.tag.exact and not safe:
            self._refuse(edit, "this may fail, and DicomEdit 6 would evaluate it even where no element is meant")
        if asks or not safe:
            return (renderer.exists(tag or edit.tag, edit.at), *conditions)
        return conditions

    def _nested(self, tests: tuple[nodes.Comparison, ...], body: Statements) -> Statements:
        for test in reversed(tests):
            body = (nodes.If(((test, body),), test.at),)
        return body

    def _action(self, edit: Edit) -> Statements:
        """What a statement does to its elements."""
        if edit.value is None:
            return (self._deletion(edit),)
        value = self._renderer.value(edit.value)
        doubtful = _what_may_miss(edit.value)
        proved = {written(operand) for each in edit.conditions for operand in (each.left, each.right)}
        if not self._renderer.nullable(edit.value) or written(doubtful) in proved:
            return (self._assignment(edit, value),)
        given = nodes.Comparison(_what_may_miss(value), "~", nodes.Literal(ANYTHING, edit.at), edit.at)
        blank = self._assignment(edit, nodes.Literal("", edit.at))
        return (nodes.If(((given, (self._assignment(edit, value),)), (None, (blank,))), edit.at),)

    def _deletion(self, edit: Edit) -> nodes.Statement:
        if _all_private(edit):
            self._note(edit.at, "removeAllPrivateTags also removes private elements in sequences, which 4.2 left there")
            return nodes.RemoveAllPrivateTags(edit.at)
        if edit.tag.group.value & 1:
            return nodes.Call("delete", (_direct(edit),), edit.at)
        return nodes.Delete(TagPath((edit.tag,)), edit.at)

    def _assignment(self, edit: Edit, value: nodes.Value) -> nodes.Statement:
        path = TagPath((edit.tag,))
        if not edit.tag.exact:
            return nodes.AssignIf(path, value, edit.at)
        if not vr_of(path):
            self._note(edit.at, f"where {path} is new it gets the VR UN; 4.2 gave it LO")
        if not edit.tag.group.value & 1:
            return nodes.Assign(path, value, edit.at)
        if any(_all_private(other) for other in self._edits):
            self._refuse(edit, "DicomEdit 6 cannot remove all other private elements and keep the type of this one")
        return nodes.Call("set", (_direct(edit), value), edit.at)

    def _refuse(self, edit: Edit, sentence: str) -> None:
        self._renderer.refuse(edit.at, sentence)

    def _note(self, at: int, sentence: str) -> None:
        self._notebook.say(at, NOTE, "meaning_changes", sentence)


def _all_private(edit: Edit) -> bool:
    """Whether a statement deletes all private elements."""
    return edit.value is None and (edit.tag.group.text, edit.tag.element.text) == _ALL_PRIVATE


def _creates(edit: Edit) -> bool:
    """Whether a statement applies to an element that is not there: then it makes it."""
    return edit.value is not None and edit.tag.exact


def _always_wins(earlier: Edit, later: Edit) -> bool:
    """Whether every element that a statement could apply to has been decided on by an earlier one.

    That is so where its conditions hold; looking at them may fail, unless the earlier one has none.
    """
    if not covers(earlier.tag, later.tag) or (_creates(later) and not _creates(earlier)):
        return False
    conditions = {written_condition(each) for each in later.conditions}
    return all(written_condition(each) in conditions for each in earlier.conditions)


def _branched(test: nodes.Comparison, body: Statements, other: Statements) -> Statements:
    """`body` where the test holds, else `other`; a body that does nothing leaves the negated test."""
    if not body:
        return (nodes.If(((replace(test, operator=f"!{test.operator}"), other),), test.at),)
    if len(other) == 1 and isinstance(other[0], nodes.If):
        return (nodes.If(((test, body), *other[0].branches), test.at),)
    return (nodes.If(((test, body), (None, other)), test.at),)


def _what_may_miss(value: nodes.Value) -> nodes.Value:
    """The part of a value that decides whether there is one."""
    if isinstance(value, nodes.Call) and value.name == "hashUID":
        return _what_may_miss(value.arguments[0])
    return value


def _direct(edit: Edit) -> nodes.Literal:
    return nodes.Literal(str(TagPath((edit.tag,))), edit.at)
