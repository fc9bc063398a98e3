"""The conformance statement of PS3.15 section E.1.3, rendered from the tables that the program itself uses.

Belongs here: words and Markdown. Does not belong here: any rule; what it says is asked of the modules that decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from inbox_pipeline.deid import iod_types, table
from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.iod_types import Type
from inbox_pipeline.deid.options import BASIC_CODE, NEW_SITE_OPTIONS, OPTION_CODES
from inbox_pipeline.deid.policy import META_REMOVED, Policy
from inbox_pipeline.deid.pseudonyms import MOST_DAYS
from inbox_pipeline.deid.resolve import CLEANED_BY_THEIR_ITEMS, REFERENCES, attribute_action, content_action
from inbox_pipeline.deid.table import (
    BEYOND_THE_TABLE,
    PRIVATE,
    Attribute,
    attributes,
    content_items,
    safe_private,
    standard_uids,
)

WORDS = {
    Action.REMOVE: "remove",
    Action.EMPTY: "empty",
    Action.DUMMY: "dummy",
    Action.UID: "new UID",
    Action.KEEP: "keep",
    Action.AGE: "keep, 90 at most",
    Action.ITEMS: "clean each item",
    Action.SHIFT: "shift",
    Action.TEXT: "clean text",
    Action.TREE: "clean content tree",
    Action.GRAPHICS: "clean graphics",
}


def conformance_statement() -> str:
    """Return the statement as Markdown; `docs/deidentification-conformance.md` is this text."""
    parts = [
        "# De-identification: conformance statement",
        "Generated from the tables in `inbox_pipeline/deid/` by `docs/generate.py`; a test compares.",
        _editions(),
        "## Options\n" + _option_table(),
        "## Where the standard leaves a choice\n" + _choices(),
        "## Pseudonyms and dates\n" + _pseudonyms(),
        "## Attributes\n" + _attribute_text(),
        _attribute_table(attributes()),
        "## Attributes besides the table\n" + _beyond_text(),
        _attribute_table(BEYOND_THE_TABLE),
        "## Safe private elements\n" + _safe_private_table(),
        "## Content items\n" + _content_table(),
    ]
    return "\n\n".join(parts) + "\n"


def _editions() -> str:
    profile, types = table.source(), iod_types.source()
    return "\n".join(
        [
            f"* Tables E.1-1 ({len(attributes())} rows) and E.3.4-1 ({len(content_items())} rows): PS3.15 edition "
            f"{profile['edition']}, SHA-256 of `part15.xml` `{profile['sha256_of_part15_xml']}`, read by "
            f"{profile['package']}.",
            f"* Table E.3.10-1, safe private elements: edition 2026a, {len(safe_private())} rows.",
            f"* Types of attributes per IOD: {types['package']}.",
            f"* Standard UIDs, which are never replaced: {len(standard_uids())} of PS3.6 annex A.",
            "* The claim is the Basic Application Level Confidentiality Profile as a de-identifier, with the options "
            "that a site or project names. Pixel data is not part of this statement.",
        ]
    )


def _option_table() -> str:
    rows = [
        [f"`{name}`", code.value, code.meaning, "yes" if name in NEW_SITE_OPTIONS else ""]
        for name, code in OPTION_CODES.items()
    ]
    basic = ["(always)", BASIC_CODE.value, BASIC_CODE.meaning, "yes"]
    return "\n\n".join(
        [
            _table(["option", "code", "meaning", "new site"], [basic, *rows]),
            "Full dates and modified dates exclude each other. Each output carries (0012,0062) YES, (0012,0063) in "
            "words, (0012,0064) with these codes, and (0028,0303) UNMODIFIED, MODIFIED or REMOVED.",
        ]
    )


def _choices() -> str:
    meta = ", ".join(_tag(f"{tag:08X}") for tag in sorted(META_REMOVED))
    return f"""\
* A compound action is resolved by the Type that the instance's IOD gives the attribute; a conditional Type counts as
  its unconditional one. In items the strictest Type of any IOD counts.
* Where an IOD asks for more than the table says (an attribute with action X has Type 2 or 1, one with Z has Type 1),
  the object stays valid: X becomes Z or D, Z becomes D.
* Of a SOP class that PS3.4 does not know, a compound action becomes its last letter, which is valid in any IOD.
* Sequences of references stay, with new UIDs and their items cleaned: {_names(REFERENCES)}. Content items that refer
  to instances stay likewise. So what referred to an instance refers to its de-identified copy.
* These sequences with action D stay with their items cleaned, because each identifying attribute in them has a row of
  its own: {_names(CLEANED_BY_THEIR_ITEMS)}.
* Patient ID is replaced by the subject's pseudonym, never emptied, so that patients stay apart.
* Where two options speak, cleaning goes before keeping.
* What cannot be cleaned gets the basic action: binary values, and what is no date, time or age.
* Ages over 89 years become 090Y.
* Overlays (60xx) and curves (50xx) are removed as whole groups, unless `clean-graphics` is on.
* Group lengths, and public elements that neither the table nor the data dictionary knows, are removed.
* Private elements are removed, except safe ones under `retain-safe-private`; UIDs in those are replaced, and items of
  their sequences cleaned.
* Of the file meta information {meta} are left out;
  (0002,0003) follows the SOP Instance UID.
* An element that is empty stays empty, whatever the action."""


def _pseudonyms() -> str:
    return f"""\
* HMAC-SHA-256 under a key per purpose (UIDs, subjects, sessions, dates, values) and project, derived from the site's
  secret: stable across requests, machines and restarts, not recomputable without it.
* UIDs: `2.25.` and a UUID of version 8.
* A patient is known by PatientID and its issuer; if PatientID is blank, by the Study Instance UID. Labels are `P-`
  (subject) or `S-` (session) and 60 bits in base 32.
* Dates move back by 1 to {MOST_DAYS} days, the same for all files of a patient in a project; times of day, fractions
  and time zones stay. A date of less precision is taken as the first of its year or month."""


def _attribute_text() -> str:
    return """\
Actions as in the standard: X remove, Z empty, D dummy, U new UID, K keep, C clean. The last column is what a new site's
options make of the row: where it depends, for attributes that the IOD leaves optional / asks to be present / asks to
have a value / of an unknown SOP class."""


def _beyond_text() -> str:
    return "Dates, names and UIDs of instances that the data dictionary holds and Table E.1-1 does not list."


def _names(tags: Collection[int]) -> str:
    return ", ".join(f"{_tag(row.pattern)} {row.name}" for row in attributes() if row.tag in tags)


def _attribute_table(rows: Iterable[Attribute]) -> str:
    head = ["tag", "name", "VR", "basic", "options", "new site"]
    return _table(
        head,
        [[_tag(row.pattern), row.name, row.vr, row.basic, _options(row.options), _new_site(row)] for row in rows],
    )


def _new_site(row: Attribute) -> str:
    """Return what a new site's policy does; for patterns of several tags, by an example."""
    if row.pattern == PRIVATE:
        return "remove, safe ones keep"
    if row.tag is None:
        tag = int(row.pattern.replace("x", "0"), 16) + 0x10
        return WORDS[Policy.of_a_new_site().actions("").at_root(tag)]
    order = (Type.OPTIONAL, Type.PRESENT, Type.VALUE, Type.UNKNOWN)
    words = [WORDS[attribute_action(row, NEW_SITE_OPTIONS, type_)] for type_ in order]
    return words[0] if len(set(words)) == 1 else " / ".join(words)


def _safe_private_table() -> str:
    counts = Counter((f"{group:04X}", creator) for group, creator, _ in safe_private())
    return _table(["group", "private creator", "elements"], [[*key, str(n)] for key, n in sorted(counts.items())])


def _content_table() -> str:
    head = ["scheme", "code", "meaning", "value type", "basic", "options", "new site"]
    return _table(
        head,
        [
            [
                *(row.scheme, row.code, row.meaning, row.value_type, row.basic, _options(row.options)),
                WORDS[content_action(row, NEW_SITE_OPTIONS)],
            ]
            for row in content_items()
        ],
    )


def _options(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {action}" for name, action in options.items())


def _tag(pattern: str) -> str:
    return "odd groups" if pattern == PRIVATE else f"({pattern[:4]},{pattern[4:]})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
