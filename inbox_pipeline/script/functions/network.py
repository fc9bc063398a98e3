"""The function getURL (dicomedit specification 3.5).

Belongs here: asking for a text from elsewhere, if the caller of the script allows it.
Does not belong here: the network; the caller brings the means, its limits and its list of allowed hosts.
"""

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import Argument, Context, Function


def _get_url(context: Context, arguments: list[Argument]) -> str:
    if context.services.fetch is None:
        raise Failure("getURL is switched off here: it would send text of this data set to another machine")
    text = "".join(context.services.fetch(context.needed(arguments[0])).splitlines())
    if not text:
        raise Failure("getURL was answered with nothing")
    return text


FUNCTIONS = {"getURL": Function(_get_url, 1, 1, "6.0")}
