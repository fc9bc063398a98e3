"""What a checker says about a script that compiles.

Belongs here: one sentence with its place, code and severity; features with the version that brought them; which version
each XNAT has. Does not belong here: finding anything (`lint`, `legacy/lint`, `literals`).
"""

import re
from dataclasses import dataclass

from inbox_pipeline.script.source import Source

ERROR, WARNING, NOTE = "error", "warning", "note"
"""Severities: the statement fails whenever it is reached; it has another effect than it seems to have, or fails on some
files or in XNAT; something to know."""

_RELEASES = (((1, 7, 0), "6.1"), ((1, 8, 0), "6.3"), ((1, 8, 7), "6.4"), ((1, 8, 8), "6.5"), ((1, 8, 10), "6.6"))
_NEWEST = ((1, 9, 0), "6.7")
_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?(?:\.[0-9]{1,4})*")
_FIRST_WITH_LEGACY = (1, 7, 3)


@dataclass(frozen=True, order=True)
class Advice:
    """A sentence about a place of a script. `code` is stable; `severity` is `error`, `warning` or `note`."""

    line: int
    column: int
    severity: str
    code: str
    sentence: str
    source_line: str = ""


@dataclass(frozen=True, order=True)
class Feature:
    """A use of something that not every version of the language has."""

    line: int
    column: int
    since: str
    what: str
    source_line: str = ""


@dataclass(frozen=True)
class Server:
    """An XNAT: its release as stated, the highest version of DicomEdit 6 in it, whether it also runs 4.2."""

    release: str
    level: str
    legacy: bool


def server(release: str) -> Server:
    """The XNAT of a release such as 1.8.6 (dicomedit specification, table at the top). Raises ValueError."""
    match = _RELEASE.fullmatch(release)
    number = tuple(int(part or 0) for part in match.groups()) if match else ()
    if number < _RELEASES[0][0]:
        raise ValueError("an XNAT version is written like 1.8.6, from 1.7.0 on")
    level = [level for first, level in (*_RELEASES, _NEWEST) if first <= number][-1]
    return Server(release, level, number >= _FIRST_WITH_LEGACY)


class Notebook:
    """Collects advice and features at places of a source, each once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._advice: set[Advice] = set()
        self._features: set[Feature] = set()

    @property
    def advice(self) -> tuple[Advice, ...]:
        """All advice in the order of the script."""
        return tuple(sorted(self._advice))

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features in the order of the script."""
        return tuple(sorted(self._features))

    def say(self, at: int, severity: str, code: str, sentence: str) -> None:
        """Remember advice about the character at an offset."""
        place = self.source.place(at)
        self._advice.add(Advice(place.line, place.column, severity, code, sentence, place.source_line))

    def say_of_line(self, line: int, column: int, severity: str, code: str, sentence: str) -> None:
        """Remember advice about a line as it was typed."""
        self._advice.add(Advice(line, column, severity, code, sentence, self.source.lines[line - 1]))

    def uses(self, at: int, since: str, what: str) -> None:
        """Remember the use of a feature at an offset."""
        place = self.source.place(at)
        self._features.add(Feature(place.line, place.column, since, what, place.source_line))

    def uses_in_line(self, line: int, column: int, since: str, what: str) -> None:
        """Remember the use of a feature in a line as it was typed."""
        self._features.add(Feature(line, column, since, what, self.source.lines[line - 1]))


def lacking(xnat: Server, source: Source, version: str, features: tuple[Feature, ...]) -> tuple[Advice, ...]:
    """What an XNAT lacks of what a script states (its version, or 4.2) and uses: the script would fail there."""
    needs: tuple[Feature, ...]
    if version == "4.2":
        needs = () if xnat.legacy else (Feature(1, 1, version, "a script without a version", source.lines[0]),)
    else:
        stated = next(number for number, line in enumerate(source.lines, 1) if line.startswith("version"))
        needs = tuple(used for used in features if used.since > xnat.level)
        if version > xnat.level:
            needs = (Feature(stated, 1, version, "the stated version", source.lines[stated - 1]), *needs)
    return tuple(_lacking(used, xnat) for used in needs)


def _lacking(used: Feature, xnat: Server) -> Advice:
    sentence = f"{used.what} needs DicomEdit {used.since}; XNAT {xnat.release} has {xnat.level}"
    return Advice(used.line, used.column, ERROR, "server_lacks", sentence, used.source_line)
