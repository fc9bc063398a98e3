"""What `getURL` of a script may read from other machines: only hosts that the site names, within limits.

Belongs here: the allow-list, the limits, the memory of answers. Does not belong here: the function itself
(`script/functions/network.py`) and the setting (`projects.py`).

A URL may hold patient values, in any of its parts: an error names at most the host, once it is known to be allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import httpx

from inbox_pipeline.script.errors import Failure

SECONDS = 10.0
"""For one URL with its redirects, from the look-up of the name to the last byte."""
MOST_BYTES = 1 << 20
MOST_REDIRECTS = 5
REMEMBERED = 1024
"""Answers that a process remembers; each is asked for once."""


def fetcher(hosts: str) -> Callable[[str], str] | None:
    """Return the `fetch` of `compile_script` for a list of host names separated by commas; None for an empty list.

    The function that is returned raises:
        Failure: the host is not on the list, the answer is not 200, too large, too late, or the URL holds a password.
    """
    allowed = frozenset(hosts.lower().split(",")) - {""}
    return partial(_remembered, allowed) if allowed else None


@lru_cache(maxsize=REMEMBERED)
def _remembered(allowed: frozenset[str], url: str) -> str:
    return asyncio.run(_within_limits(allowed, url))


async def _within_limits(allowed: frozenset[str], url: str) -> str:
    try:
        async with asyncio.timeout(SECONDS):
            return await _answer(allowed, url)
    except TimeoutError:
        raise Failure(f"getURL was not answered within {SECONDS:g} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Failure(f"getURL could not read what it asked for ({type(error).__name__})") from None


async def _answer(allowed: frozenset[str], url: str) -> str:
    """Ask for a URL; every request of a chain of redirects is checked before it is sent."""
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [partial(_require_allowed, allowed)]}
    client = httpx.AsyncClient(timeout=SECONDS, follow_redirects=True, max_redirects=MOST_REDIRECTS, event_hooks=hooks)
    async with client, client.stream("GET", url) as response:
        if response.status_code != httpx.codes.OK:
            raise Failure(f"getURL was answered {response.status_code} by {response.url.host}")
        body = b""
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MOST_BYTES:
                raise Failure(f"getURL was answered with more than {MOST_BYTES} bytes by {response.url.host}")
        return body.decode(response.encoding or "utf-8", "replace")


async def _require_allowed(allowed: frozenset[str], request: httpx.Request) -> None:
    if request.url.scheme not in {"http", "https"}:
        raise Failure("getURL reads http and https only")
    if request.url.host.lower() not in allowed:
        raise Failure("getURL asked a host that is not in the site's url_hosts")
    if request.url.userinfo or "authorization" in request.headers:
        raise Failure("getURL does not send passwords")
