"""The table that the function lookup reads (dicomedit specification 3.1).

Belongs here: its format. Does not belong here: where it is stored.
"""

from inbox_pipeline.script.errors import Place, ScriptError


def parse_lookup(text: str) -> dict[str, str]:
    """Values by `type/key`, from one entry `type/key = value` a line; `//` begins a comment. Raises ScriptError."""
    table = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.split("//")[0].strip()
        if not entry:
            continue
        if entry.count("=") != 1 or entry.split("=")[0].count("/") != 1:
            raise ScriptError("an entry of a lookup table is written type/key = value", Place(number, 1, line))
        name, value = entry.split("=")
        kind, key = name.split("/")
        table[f"{kind.strip()}/{key.strip()}"] = value.strip()
    return table
