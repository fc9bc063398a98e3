"""The routes of the application as a whole, with the prefixes under which routers are included.

Belongs here: from a path to what answers there. Does not belong here: routes, and what the OpenAPI documents say of
them (`description.py`).

What the framework leaves in the scope of a request is one router's own route, without the prefixes.
"""

from __future__ import annotations

from collections import defaultdict

from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.types import Scope

NO_ROUTE = "(none)"


class Routes:
    """All routes of an application, once they are included."""

    def __init__(self, app: FastAPI) -> None:
        self._all = list(iter_route_contexts(app.routes))
        self._under: dict[int, list[RouteContext]] = defaultdict(list)
        for context in self._all:
            self._under[id(context.original_route)].append(context)

    def template(self, scope: Scope) -> str:
        """Return the template of the route that a request has matched, never the path itself; `(none)` for none."""
        included = self._under.get(id(scope.get("route")), [])
        return next((str(each.path) for each in included if each.path_regex.match(scope["path"])), NO_ROUTE)

    def methods(self, path: str) -> list[str]:
        """Return every method that a path answers, of whichever route (RFC 9110, section 10.2.1)."""
        found = {method for each in self._all if each.path_regex.match(path) for method in each.methods or ()}
        return sorted(found | ({"HEAD"} if "GET" in found else set()))
