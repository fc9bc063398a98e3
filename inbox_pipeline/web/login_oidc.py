"""Log-in by an identity provider: the way there and back.

Belongs here: redirects, and the cookie that ties the answer to the browser that asked. Does not belong here: talking to
the provider and judging its answer (`services/oidc.py`).

Without a provider in the settings there is nothing at these addresses.
"""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import oidc
from inbox_pipeline.web.exchange import exchange_of
from inbox_pipeline.web.identity import Served, replace_session, secure_attribute
from inbox_pipeline.web.parameters import Query, last

STATE_COOKIE = "OIDC_STATE"
STATE_SECONDS = 600


def require_provider(site: Served) -> None:
    """Refuse what needs a provider where there is none.

    Raises:
        Rejected: `not_found`.
    """
    if not oidc.is_configured(site):
        raise refusal("not_found")


router = APIRouter(prefix="/login/oidc", include_in_schema=False, dependencies=[Depends(require_provider)])


@router.get("")
def begin(request: Request, site: Served) -> Response:
    """Send the browser to the provider."""
    url, state = oidc.begin(site, _callback_url(request))
    _keep_state(request, state, STATE_SECONDS)
    return RedirectResponse(url, 303)


@router.get("/callback")
def finish(request: Request, site: Served, query: Query) -> Response:
    """Start a session for the user whom the provider names, if this browser asked it."""
    state, code = last(query, "state"), last(query, "code")
    kept = request.cookies.get(STATE_COOKIE, "")
    _keep_state(request, "", 0)
    if not code or not kept or not hmac.compare_digest(state.encode("utf-8", "replace"), kept.encode()):
        raise refusal("oidc_failed")
    replace_session(request, oidc.finish(site, _callback_url(request), state, code))
    return RedirectResponse("/", 303)


def _callback_url(request: Request) -> str:
    return f"{request.base_url}login/oidc/callback"


def _keep_state(request: Request, state: str, seconds: int) -> None:
    """Set the state's cookie, which the browser sends when the provider sends it back (`Lax`)."""
    attributes = f"Path=/login/oidc; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure_attribute(request)}"
    exchange_of(request).cookies.append(f"{STATE_COOKIE}={state}; {attributes}")
