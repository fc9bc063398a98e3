"""Running a program on a text: depth first with a stack of its own, within a budget of steps.

Belongs here: the machine. Does not belong here: syntax, translation.
"""

from collections.abc import Callable
from typing import Any

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex import program as code

MAX_STEPS = 400_000
"""Steps for one text, several tenths of a second; a limit in steps is the same on every machine."""

Registers = tuple[int, ...]
_UNSET = -1


class Machine:
    """One text; `steps` counts down. Every method that runs raises Failure when no step is left."""

    def __init__(self, text: str, registers: int) -> None:
        self.text = text
        self.steps = MAX_STEPS
        self._registers: Registers = (_UNSET,) * registers
        self._stack: list[tuple[int, int, Registers, int, Callable[[str], bool] | None]] = []

    def run(self, program: code.Program, at: int, accept: Callable[[int], bool]) -> Registers | None:
        """The registers of the first match from `at` whose end is accepted, its bounds in the first two; or None."""
        return self._run(program, at, self._registers, accept)

    def _run(
        self, program: code.Program, at: int, registers: Registers, accept: Callable[[int], bool]
    ) -> Registers | None:
        outer, self._stack = self._stack, []
        begin, pc = at, 0
        try:
            while True:
                self._spend(1)
                instruction = program[pc]
                if isinstance(instruction, code.Done):
                    if accept(at):
                        return (begin, at, *registers[2:])
                    state = None
                else:
                    state = _STEPS[type(instruction)](self, instruction, pc, at, registers)
                state = state or self._back()
                if state is None:
                    return None
                pc, at, registers = state
        finally:
            self._stack = outer

    def _spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise Failure("the regular expression takes too long on this value")

    def _back(self) -> tuple[int, int, Registers] | None:
        """The way that was left for later last, if any is left."""
        while self._stack:
            pc, at, registers, bound, accepts = self._stack.pop()
            if accepts is None:
                if at > bound:
                    self._stack.append((pc, at - 1, registers, bound, None))
                return pc, at, registers
            if accepts(self.text[at]):
                if at + 1 < bound:
                    self._stack.append((pc, at + 1, registers, bound, accepts))
                return pc, at + 1, registers
        return None

    def _char(self, step: code.Char, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers] | None:
        if at < len(self.text) and step.accepts(self.text[at]):
            return pc + 1, at + 1, registers
        return None

    def _span(self, step: code.Span, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers] | None:
        text, accepts = self.text, step.accepts
        limit = len(text) if step.most is None else min(len(text), at + step.most)
        goal, end = (limit if step.eager else min(limit, at + step.least)), at
        while end < goal and accepts(text[end]):
            end += 1
        self._spend(end - at)
        if end < at + step.least:
            return None
        if step.eager and end > at + step.least:
            self._stack.append((pc + 1, end - 1, registers, at + step.least, None))
        elif not step.eager and end < limit:
            self._stack.append((pc + 1, end, registers, limit, accepts))
        return pc + 1, end, registers

    def _fork(self, step: code.Fork, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers]:
        self._stack.append((step.second, at, registers, at, None))
        return step.first, at, registers

    def _jump(self, step: code.Jump, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers]:
        return step.target, at, registers

    def _save(self, step: code.Save, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers]:
        self._spend(len(registers) // 16)
        return pc + 1, at, (*registers[: step.register], at, *registers[step.register + 1 :])

    def _again(self, step: code.Again, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers]:
        return (step.start if at > registers[step.register] else pc + 1), at, registers

    def _check(self, step: code.Check, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers] | None:
        return (pc + 1, at, registers) if step.holds(self.text, at) else None

    def _repeated(
        self, step: code.Repeated, pc: int, at: int, registers: Registers
    ) -> tuple[int, int, Registers] | None:
        begin, end = registers[2 * step.group : 2 * step.group + 2]
        if _UNSET in (begin, end):
            return None
        known, here = self.text[begin:end], self.text[at : at + end - begin]
        same = known.lower() == here.lower() if step.any_case else known == here
        return (pc + 1, at + len(known), registers) if same else None

    def _inner(self, step: code.Inner, pc: int, at: int, registers: Registers) -> tuple[int, int, Registers] | None:
        look = step.look
        if look is not None and look.behind:
            begins = range(at, -1, -1)
            found = next((f for f in (self._run(step.program, b, registers, at.__eq__) for b in begins) if f), None)
        else:
            found = self._run(step.program, at, registers, _anywhere)
        if look is not None and look.negated:
            return None if found else (pc + 1, at, registers)
        if found is None:
            return None
        return pc + 1, (at if look is not None else found[1]), (*registers[:2], *found[2:])


def _anywhere(end: int) -> bool:
    return True


_STEPS: dict[type, Callable[..., Any]] = {
    code.Char: Machine._char,
    code.Span: Machine._span,
    code.Fork: Machine._fork,
    code.Jump: Machine._jump,
    code.Save: Machine._save,
    code.Again: Machine._again,
    code.Check: Machine._check,
    code.Repeated: Machine._repeated,
    code.Inner: Machine._inner,
}
