"""Sets of characters in brackets, and classes behind a backslash.

Belongs here: the syntax of sets, with unions and intersections as java.util.regex has them.
Does not belong here: what the named classes hold. Every function raises Failure.
"""

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex.classes import ESCAPED, between, exactly, intersection, named, negated, union
from inbox_pipeline.script.regex.cursor import Cursor, character
from inbox_pipeline.script.regex.tree import Accepts

_MAX_DEPTH = 20


def bracket(cursor: Cursor, any_case: bool, depth: int = 1) -> Accepts:
    """bracket = "[" [ "^" ] set { "&&" set } "]" ; its "[" already read."""
    if depth > _MAX_DEPTH:
        raise Failure("the brackets of the regular expression are nested too deeply")
    negative = cursor.take("^")
    sets = [_set(cursor, any_case, depth)]
    while cursor.take("&&"):
        sets.append(_set(cursor, any_case, depth))
    if not cursor.take("]"):
        raise Failure("the regular expression has a [ without its ]")
    accepts = intersection(sets)
    return negated(accepts) if negative else accepts


def _set(cursor: Cursor, any_case: bool, depth: int) -> Accepts:
    """set = { bracket | class | character [ "-" character ] } ; a "]" that comes first is a character."""
    parts: list[Accepts] = []
    while not cursor.done and not cursor.ahead("&&") and (not parts or not cursor.ahead("]")):
        parts.append(_member(cursor, any_case, depth))
    if not parts:
        raise Failure("the regular expression has brackets with nothing in them")
    return union(parts)


def _member(cursor: Cursor, any_case: bool, depth: int) -> Accepts:
    if cursor.take("["):
        return bracket(cursor, any_case, depth + 1)
    if cursor.take("\\"):
        accepts = escaped_class(cursor)
        if accepts is not None:
            return accepts
        first = character(cursor)
    else:
        first = cursor.next()
    if not cursor.ahead("-") or cursor.ahead("-]") or cursor.ahead("-[") or cursor.ahead("-&&"):
        return exactly(first, any_case)
    cursor.take("-")
    last = character(cursor) if cursor.take("\\") else cursor.next()
    return between(first, last, any_case)


def escaped_class(cursor: Cursor) -> Accepts | None:
    """The predefined class or property behind a backslash, or None if something else stands there."""
    letter = cursor.peek
    accepts: Accepts
    if letter and letter.lower() in ESCAPED:
        accepts = ESCAPED[cursor.next().lower()]
    elif letter and letter in "pP":
        cursor.next()
        accepts = named(cursor.until("}") if cursor.take("{") else cursor.next())
    else:
        return None
    return negated(accepts) if letter.isupper() else accepts
