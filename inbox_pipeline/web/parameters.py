"""Parameters of a request as raw pairs, in order, whatever bytes they hold.

Belongs here: decoding queries and form bodies. Does not belong here: what a parameter means (`services/requests.py`).
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends
from starlette.requests import Request

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.web.description import refuses

FORM = "application/x-www-form-urlencoded"
MOST_PARAMETERS = 256

Pairs = list[tuple[str, str]]


@refuses(400)
def query_pairs(request: Request) -> Pairs:
    """Return the query's pairs; bytes that are not UTF-8 become lone surrogates, as `os.fsdecode` makes them.

    Raises:
        Rejected: `request_malformed`, when there are more than 256.
    """
    return _pairs(request.scope["query_string"])


@refuses(400, 413)
async def form_pairs(request: Request) -> Pairs:
    """Return the pairs of a form body; any other body is left unread.

    Raises:
        Rejected: `request_malformed`, for more than 256 pairs.
        HTTPException: 413, above 64 KiB (`exchange.py`).
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM:
        return []
    return _pairs(await request.body())


@refuses(400, 413)
async def all_pairs(request: Request) -> Pairs:
    """Return the pairs of the form body and then those of the query, so that the query wins.

    Raises:
        Rejected: as `query_pairs` and `form_pairs`.
    """
    return await form_pairs(request) + query_pairs(request)


def last(pairs: Pairs, name: str, default: str = "") -> str:
    """Return the last value of a parameter."""
    return next((value for key, value in reversed(pairs) if key == name), default)


def _pairs(raw: bytes) -> Pairs:
    try:
        return parse_qsl(
            raw.decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise refusal("request_malformed") from None


Form = Annotated[Pairs, Depends(form_pairs)]
Query = Annotated[Pairs, Depends(query_pairs)]
Given = Annotated[Pairs, Depends(all_pairs)]
