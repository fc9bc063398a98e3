"""The grammar of DicomEdit 4.2 (dicomedit specification 7.1), one function per rule.

Belongs here: turning tokens into nodes. Does not belong here: what they do.
"""

import re
from collections.abc import Callable

from inbox_pipeline.script import nodes
from inbox_pipeline.script.legacy.nodes import Definition, Edit, Statement
from inbox_pipeline.script.tagpath import Digits, Tag, TagPath
from inbox_pipeline.script.tokens import Token, Tokenizer

_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
_ESCAPE = re.compile(r"\\(.)")
_KNOWN_ESCAPES = r"\b \t \n \f \r \" \' \\"
_ONLY_IN_6 = ("if", "elseif", "else", "removeAllPrivateTags")


class Parser:
    """The rules, over one tokenizer. Every rule raises ScriptError where the text does not follow it."""

    def __init__(self, tokens: Tokenizer, check_call: Callable[[str, int], str | None]) -> None:
        self._tokens = tokens
        self._check_call = check_call

    def script(self) -> tuple[Statement, ...]:
        """script = [NL] { statement NL } ;"""
        statements: list[Statement] = []
        self._tokens.skip_lines()
        while not self._tokens.check("END"):
            statement = self._statement()
            if statement is not None:
                statements.append(statement)
            if not self._tokens.consume("NL") and not self._tokens.check("END"):
                self._tokens.fail("the end of the line expected (no line states a version, so this is DicomEdit 4.2)")
        return tuple(statements)

    def _statement(self) -> Statement | None:
        """statement = describe | export | { condition ":" } action ; None for what has no effect."""
        tokens = self._tokens
        if word := tokens.word("version"):
            tokens.fail("the word version must be the first on its line, without blanks before it", word.offset)
        if not (word := tokens.word("describe", "export")):
            return self._conditional()
        self._note(*(["hidden"] if word.text == "describe" else []))
        return None

    def _note(self, *flags: str) -> None:
        """describe = "describe" ID ( STRING | "hidden" ) ; export = "export" ID STRING ; without effect here."""
        self._name()
        if not self._tokens.word(*flags):
            self._string()

    def _conditional(self) -> Statement:
        """{ condition ":" } action ; condition = value ( "=" | "~" ) value ;"""
        conditions: list[nodes.Comparison] = []
        while True:
            start = self._tokens.offset
            if self._tokens.consume("MINUS"):
                return Edit(tuple(conditions), self._tag(), None, start)
            left = self._value()
            if self._tokens.consume("ASSIGN"):
                return self._assignment(left, tuple(conditions), start)
            operator = self._tokens.expect("COMPARE42", ":=, = or ~")
            conditions.append(nodes.Comparison(left, operator.text, self._value(), start))
            self._tokens.expect("COLON", ": and an action")

    def _assignment(self, left: nodes.Value, conditions: tuple[nodes.Comparison, ...], start: int) -> Statement:
        """assignment = ( tag | ID ) ":=" ( "new" "UID" | STRING value { "," value } | value ) ;"""
        value = self._new_uid() or self._formatted()
        if isinstance(left, nodes.PathValue):
            return Edit(conditions, left.path.tags[0], value, start)
        if not isinstance(left, nodes.Variable) or conditions:
            self._tokens.fail("only a tag, or without a condition a variable, can be assigned to", start)
        return Definition(left.name, value, start)

    def _new_uid(self) -> nodes.Call | None:
        word = self._tokens.word("new")
        if word is None:
            return None
        if not self._tokens.word("UID"):
            self._tokens.fail("UID expected behind new")
        return nodes.Call("newUID", (), word.offset)

    def _formatted(self) -> nodes.Value:
        """A string that values follow is a format for them."""
        value = self._value()
        if not isinstance(value, nodes.Literal) or self._tokens.check("NL") or self._tokens.check("END"):
            return value
        arguments = [self._value()]
        while self._tokens.consume("COMMA"):
            arguments.append(self._value())
        return nodes.Call("format", (value, *arguments), value.at)

    def _value(self) -> nodes.Value:
        """value = STRING | INTEGER | FLOAT | tag | ID | call ;"""
        tokens, start = self._tokens, self._tokens.offset
        if tokens.source.text.startswith('"', start):
            return nodes.Literal(self._string(), start)
        if number := tokens.consume("FLOAT") or tokens.consume("INTEGER"):
            return nodes.Literal(number.text, start)
        if tokens.check("("):
            return nodes.PathValue(TagPath((self._tag(),)), start)
        return self._variable_or_call()

    def _tag(self) -> Tag:
        """tag = "(" hexd*4 "," hexd*4 ")" ; the root alone, private elements by their absolute number."""
        token = self._tokens.expect("ABSOLUTE", "a tag, written (gggg,eeee) in DicomEdit 4.2,")
        if self._tokens.check("SLASH") or self._tokens.check("ITEM"):
            self._tokens.fail("DicomEdit 4.2 has no paths into sequences; state a version for DicomEdit 6")
        return Tag(Digits.of(token.parts[0]), Digits.of(token.parts[1]))

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

    def _name(self) -> Token:
        if self._tokens.word(*_ONLY_IN_6):
            self._tokens.fail('this needs DicomEdit 6: state a version, such as version "6.1", on a line of its own')
        return self._tokens.expect("ID", "a value, a tag or a statement of DicomEdit 4.2")

    def _string(self) -> str:
        """STRING ; all of its escapes are translated."""
        token = self._tokens.consume("STRING42")
        if token is None:
            self._tokens.fail(f"a string in double quotes, with no escapes but {_KNOWN_ESCAPES}, expected")
        return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), token.text[1:-1])
