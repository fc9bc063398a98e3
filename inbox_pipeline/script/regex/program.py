"""From a parsed regular expression to a program for the machine.

Belongs here: the instructions and the translation into them. Does not belong here: running.
"""

from dataclasses import dataclass, field

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex import tree

MAX_INSTRUCTIONS = 20_000


@dataclass(frozen=True)
class Char:
    """Read one character of a set."""

    accepts: tree.Accepts


@dataclass(frozen=True)
class Span:
    """Read between `least` and `most` characters of a set."""

    accepts: tree.Accepts
    least: int
    most: int | None
    eager: bool


@dataclass
class Fork:
    """Go on at `first`; at `second` if that leads nowhere."""

    first: int = 0
    second: int = 0


@dataclass
class Jump:
    """Go on at `target`."""

    target: int = 0


@dataclass(frozen=True)
class Save:
    """Remember the position in a register."""

    register: int


@dataclass(frozen=True)
class Again:
    """Go back to `start` if the position has moved since it was remembered in `register`."""

    register: int
    start: int


@dataclass(frozen=True)
class Check:
    """Go on only if a condition on the position holds."""

    holds: tree.Holds


@dataclass(frozen=True)
class Inner:
    """Run another program from here; `look` tells what becomes of the position."""

    program: "Program"
    look: tree.Look | None


@dataclass(frozen=True)
class Repeated:
    """Read the text of a group again."""

    group: int
    any_case: bool


@dataclass(frozen=True)
class Done:
    """The end of the program: a match."""


Instruction = Char | Span | Fork | Jump | Save | Again | Check | Inner | Repeated | Done
Program = list[Instruction]


@dataclass
class Compiler:
    """Translates one expression; registers are two for each group and one for each loop."""

    registers: int
    size: int = field(default=0)

    def program(self, node: tree.Node) -> Program:
        """The program of a part. Raises Failure if it becomes too large."""
        program: Program = []
        self._add(node, program)
        program.append(Done())
        return program

    def _emit(self, program: Program, instruction: Instruction) -> None:
        self.size += 1
        if self.size > MAX_INSTRUCTIONS:
            raise Failure("the regular expression repeats too much")
        program.append(instruction)

    def _add(self, node: tree.Node, program: Program) -> None:
        match node:
            case tree.One(accepts):
                self._emit(program, Char(accepts))
            case tree.Row(parts):
                for part in parts:
                    self._add(part, program)
            case tree.Either(parts):
                self._either(parts, program)
            case tree.Group(number, part):
                self._emit(program, Save(2 * number))
                self._add(part, program)
                self._emit(program, Save(2 * number + 1))
            case tree.Repeat():
                self._repeat(node, program)
            case _:
                self._emit(program, self._single(node))

    def _single(self, node: tree.Node) -> Instruction:
        match node:
            case tree.Where(holds):
                return Check(holds)
            case tree.Again(number, any_case):
                return Repeated(number, any_case)
            case tree.Look(part):
                return Inner(self.program(part), node)
            case tree.Atomic(part):
                return Inner(self.program(part), None)
        raise TypeError(type(node))

    def _either(self, parts: tuple[tree.Node, ...], program: Program) -> None:
        ends = []
        for part in parts[:-1]:
            fork, end = Fork(first=len(program) + 1), Jump()
            self._emit(program, fork)
            self._add(part, program)
            self._emit(program, end)
            fork.second = len(program)
            ends.append(end)
        self._add(parts[-1], program)
        for end in ends:
            end.target = len(program)

    def _repeat(self, node: tree.Repeat, program: Program) -> None:
        if isinstance(node.part, tree.One):
            self._emit(program, Span(node.part.accepts, node.least, node.most, node.eager))
            return
        for _ in range(node.least):
            self._emit(program, Jump(len(program) + 1))
            self._add(node.part, program)
        if node.most is None:
            self._loop(node, program)
        else:
            self._optional(node, node.most - node.least, program)

    def _loop(self, node: tree.Repeat, program: Program) -> None:
        """Any number of times; a turn that reads nothing is the last."""
        start, register = len(program), self.registers
        self.registers += 1
        fork = Fork()
        self._emit(program, fork)
        body = len(program)
        self._emit(program, Save(register))
        self._add(node.part, program)
        self._emit(program, Again(register, start))
        _aim(fork, body, len(program), node.eager)

    def _optional(self, node: tree.Repeat, times: int, program: Program) -> None:
        """Up to so many times, each only behind the one before."""
        forks = []
        for _ in range(times):
            fork = Fork()
            self._emit(program, fork)
            forks.append((fork, len(program)))
            self._add(node.part, program)
        for fork, body in forks:
            _aim(fork, body, len(program), node.eager)


def _aim(fork: Fork, body: int, end: int, eager: bool) -> None:
    fork.first, fork.second = (body, end) if eager else (end, body)
