"""The text of a script in a request's body, in whichever form clients send it.

Belongs here: text, the JSON string, the uploaded file; UTF-8. Does not belong here: whether it is a script
(`services/scripts.py`).
"""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Depends
from starlette.datastructures import UploadFile
from starlette.requests import Request

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.web.description import body, refuses

MOST_BYTES = 1 << 20
JSON_BYTES = 4 << 20
"""For a script and its lookup table as members of JSON, where each character may take six bytes."""


@refuses(400, 413)
async def script_text(request: Request) -> str:
    """Return the text of the body without a byte order mark, empty for an empty body; line ends stay as they are.

    A body of type `application/json` that is a JSON string stands for that string, one of type `multipart/form-data`
    for the one file in it; every other body is the text itself, whatever its type says.

    Raises:
        Rejected: `script_not_text`, or `request_malformed` for an upload that is not one file.
        HTTPException: 413, above the limit of the route (`exchange.py`).
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    raw = await _uploaded(request) if kind == "multipart/form-data" else await request.body()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise refusal("script_not_text") from None
    return _quoted(text) if kind == "application/json" else text


ScriptText = Annotated[str, Depends(script_text)]
SCRIPT = body("text/plain")
"""How a route that takes a script describes its body."""


async def _uploaded(request: Request) -> bytes:
    async with request.form() as form:
        files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
        if len(files) != 1:
            raise refusal("request_malformed")
        return await files[0].read()


def _quoted(text: str) -> str:
    """Return the string that a JSON document is; a text that is no JSON string stays as it is."""
    if not text.lstrip().startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text
