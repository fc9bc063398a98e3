"""The grammar of DicomEdit 6 (dicomedit specification 1.3), one function per rule.

Belongs here: turning tokens into nodes. Does not belong here: what a node does, which functions exist (`known` is
asked), tag paths.
"""

from collections.abc import Callable

from inbox_pipeline.script import nodes
from inbox_pipeline.script.tagpath import at_tagpath, tagpath
from inbox_pipeline.script.tokens import Token, Tokenizer

CheckCall = Callable[[str, int], str | None]
"""Given a function's name and its number of arguments: why that cannot be called, or None."""

_NOTES = ["version", "describe", "hidden", "const", "immutable", "export"]
RESERVED = frozenset(["if", "elseif", "else", "echo", "removeAllPrivateTags", *_NOTES])
VERSIONS = ("6.0", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7")


class Parser:
    """The rules, over one tokenizer. Every rule raises ScriptError where the text does not follow it."""

    def __init__(self, tokens: Tokenizer, check_call: CheckCall) -> None:
        self._tokens = tokens
        self._check_call = check_call

    def script(self) -> tuple[nodes.Statement, ...]:
        """script = [NL] [ statement { NL statement } ] [NL] ; two statements may share a line."""
        statements: list[nodes.Statement] = []
        self._tokens.skip_lines()
        while not self._tokens.check("END"):
            statements.append(self._statement())
            self._tokens.skip_lines()
        return tuple(statements)

    def _statement(self) -> nodes.Statement:
        """statement = action | ternary | if_block | describe | export | "removeAllPrivateTags" | version ;"""
        tokens = self._tokens
        if word := tokens.word("if"):
            return self._if_block(word)
        if word := tokens.word("removeAllPrivateTags"):
            return nodes.RemoveAllPrivateTags(word.offset)
        if word := tokens.word("version"):
            return self._version(word)
        if word := tokens.word("describe"):
            return self._describe(word)
        if word := tokens.word("export"):
            return nodes.Note("export", self._name().text, self._string(), word.offset)
        return self._action_or_ternary()

    def _version(self, word: Token) -> nodes.Note:
        """version = "version" STRING ;"""
        if self._tokens.check("ASSIGN"):
            self._tokens.fail('a version is stated without an assignment sign, as in: version "6.1"')
        at = self._tokens.offset
        number = self._string()
        if number not in VERSIONS:
            self._tokens.fail(
                f"no such version of the script language, in no XNAT; there are {', '.join(VERSIONS)}", at
            )
        return nodes.Note("version", "", number, word.offset)

    def _describe(self, word: Token) -> nodes.Note:
        """describe = "describe" ID ( STRING | "hidden" | "const" | "immutable" ) ;"""
        name = self._name().text
        flag = self._tokens.word("hidden", "const", "immutable")
        return nodes.Note("describe", name, flag.text if flag else self._string(), word.offset)

    def _action_or_ternary(self) -> nodes.Statement:
        """action | ternary ; told apart by what follows the first value."""
        start = self._tokens.offset
        if self._tokens.check("MINUS") or self._reserved_next():
            return self._action()
        left = self._value()
        action = self._rest_of_action(left, start)
        if action and not (isinstance(action, nodes.Call) and self._condition_follows()):
            return action
        return self._ternary(self._rest_of_condition(left, start), start)

    def _action(self) -> nodes.Action:
        """action = assign | assign_if | init | delete | call | echo ;"""
        start = self._tokens.offset
        if self._tokens.consume("MINUS"):
            return nodes.Delete(tagpath(self._tokens), start)
        if self._tokens.word("echo"):
            return self._echo(start)
        if self._reserved_next():
            self._tokens.fail("only an assignment, a deletion, a function call or echo may stand here")
        return self._rest_of_action(self._value(), start) or self._tokens.fail(":= or ?= expected")

    def _rest_of_action(self, left: nodes.Value, start: int) -> nodes.Action | None:
        """assign = tagpath ":=" value ; assign_if = tagpath "?=" value ; init = ID ":=" value ; or a bare call."""
        if isinstance(left, nodes.PathValue) and self._tokens.consume("ASSIGN"):
            return nodes.Assign(left.path, self._value(), start)
        if isinstance(left, nodes.PathValue) and self._tokens.consume("ASSIGN_IF"):
            return nodes.AssignIf(left.path, self._value(), start)
        if isinstance(left, nodes.Variable) and self._tokens.consume("ASSIGN"):
            return nodes.Initialize(left.name, self._value(), start)
        return left if isinstance(left, nodes.Call) else None

    def _echo(self, start: int) -> nodes.Echo:
        """echo = "echo" [ value ] ;"""
        bare = any(self._tokens.check(name) for name in ("NL", "END", "}", "COLON"))
        return nodes.Echo(None if bare else self._value(), start)

    def _ternary(self, condition: nodes.Condition, start: int) -> nodes.If:
        """ternary = condition "?" action [ ":" action ] ;"""
        self._tokens.expect("QUESTION", "? and an action")
        branches: list[tuple[nodes.Condition | None, tuple[nodes.Statement, ...]]] = [(condition, (self._action(),))]
        if self._tokens.consume("COLON"):
            branches.append((None, (self._action(),)))
        return nodes.If(tuple(branches), start)

    def _if_block(self, word: Token) -> nodes.If:
        """if_block = "if" "(" condition ")" [NL] block [NL] { "elseif" ... } [ "else" [NL] block ] ;"""
        branches: list[tuple[nodes.Condition | None, tuple[nodes.Statement, ...]]] = [self._guarded_block()]
        while self._next_branch("elseif"):
            branches.append(self._guarded_block())
        if self._next_branch("else"):
            branches.append((None, self._block()))
        return nodes.If(tuple(branches), word.offset)

    def _guarded_block(self) -> tuple[nodes.Condition, tuple[nodes.Statement, ...]]:
        """guarded_block = "(" condition ")" [NL] block ; what follows if and elseif."""
        self._tokens.expect("(", "( and a condition")
        condition = self._condition()
        self._tokens.expect(")", ")")
        return condition, self._block()

    def _next_branch(self, word: str) -> bool:
        """Whether `word` comes next, perhaps on a later line; if so, moves behind it."""
        before = self._tokens.offset
        self._tokens.skip_lines()
        if self._tokens.word(word):
            return True
        self._tokens.offset = before
        return False

    def _block(self) -> tuple[nodes.Statement, ...]:
        """block = "{" { NL | statement } "}" ; line ends may stand before it."""
        self._tokens.skip_lines()
        brace = self._tokens.expect("{", "{ and statements")
        self._tokens.enter()
        statements: list[nodes.Statement] = []
        self._tokens.skip_lines()
        while not self._tokens.consume("}"):
            if self._tokens.check("END"):
                line = self._tokens.source.line(brace.offset)
                self._tokens.fail(f"}} expected before the end of the script, for the {{ of line {line}")
            statements.append(self._statement())
            self._tokens.skip_lines()
        self._tokens.leave()
        return tuple(statements)

    def _condition(self) -> nodes.Condition:
        """condition = value ( "=" | "!=" | "~" | "!~" ) value | call ;"""
        start = self._tokens.offset
        return self._rest_of_condition(self._value(), start)

    def _condition_follows(self) -> bool:
        return bool(self._tokens.check("COMPARE") or self._tokens.check("QUESTION"))

    def _rest_of_condition(self, left: nodes.Value, start: int) -> nodes.Condition:
        operator = self._tokens.consume("COMPARE")
        if operator:
            return nodes.Comparison(left, operator.text, self._value(), start)
        if not isinstance(left, nodes.Call):
            self._tokens.fail("a statement or one of = != ~ !~ expected")
        return left

    def _value(self) -> nodes.Value:
        """value = INTEGER | FLOAT | ID | STRING | tagpath | call | list ;"""
        tokens, start = self._tokens, self._tokens.offset
        if tokens.check("STRING"):
            return nodes.Literal(self._string(), start)
        if number := tokens.consume("FLOAT") or tokens.consume("INTEGER"):
            return nodes.Literal(number.text, start)
        if at_tagpath(tokens):
            return nodes.PathValue(tagpath(tokens), start)
        if tokens.check("{"):
            return nodes.ListValue(self._list(), start)
        if tokens.check("ID"):
            return self._variable_or_call()
        return self._no_value()

    def _no_value(self) -> nodes.Value:
        text = self._tokens.source.text
        if text.startswith('"', self._tokens.offset):
            self._tokens.fail_string()
        if text.startswith("'", self._tokens.offset):
            self._tokens.fail("strings stand in double quotes")
        if text.startswith("#", self._tokens.offset):
            self._tokens.fail("a comment begins with //, not with #")
        self._tokens.fail("a value, a tag path or a statement expected")

    def _variable_or_call(self) -> nodes.Variable | nodes.Call:
        """ID | call ; call = ID "[" [ value { "," value } ] "]" ;"""
        name = self._name()
        if not self._tokens.consume("["):
            return nodes.Variable(name.text, name.offset)
        self._tokens.enter()
        arguments: list[nodes.Value] = []
        while not self._tokens.consume("]"):
            if arguments:
                self._tokens.expect("COMMA", ", or ]")
            arguments.append(self._value())
        self._tokens.leave()
        problem = self._check_call(name.text, len(arguments))
        if problem:
            self._tokens.fail(problem, name.offset)
        return nodes.Call(name.text, tuple(arguments), name.offset)

    def _list(self) -> tuple[nodes.Value, ...]:
        """list = "{" [NL] [ value [NL] { "," [NL] value [NL] } ] "}" ;"""
        self._tokens.expect("{", "{")
        self._tokens.enter()
        self._tokens.skip_lines()
        members: list[nodes.Value] = []
        while not self._tokens.consume("}"):
            if members:
                self._tokens.expect("COMMA", ", or }")
                self._tokens.skip_lines()
            members.append(self._value())
            self._tokens.skip_lines()
        self._tokens.leave()
        return tuple(members)

    def _name(self) -> Token:
        """ID, but no reserved word and not X, which is a digit wildcard."""
        name = self._tokens.check("ID") or self._tokens.fail("a name expected")
        if name.text in RESERVED:
            self._tokens.fail(f"{name.text} is a word of the language and cannot stand here")
        if name.text in ("x", "X"):
            self._tokens.fail(f"a variable cannot be named {name.text}, which is a wildcard in tags")
        return self._tokens.expect("ID", "a name")

    def _reserved_next(self) -> bool:
        word = self._tokens.check("ID")
        return word is not None and word.text in RESERVED

    def _string(self) -> str:
        """STRING ; of its escapes only the doubled backslash is translated."""
        token = self._tokens.consume("STRING")
        if token is None:
            if self._tokens.source.text.startswith('"', self._tokens.offset):
                self._tokens.fail_string()
            self._tokens.fail("a string in double quotes expected")
        return token.text[1:-1].replace("\\\\", "\\")
