"""The composition root of the HTTP side.

Belongs here: `create_app`, which binds routes and layers to one site. Does not belong here: routes, and starting a
server (`serve.py`).
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI

from inbox_pipeline.services.site import Site
from inbox_pipeline.web import (
    api,
    audit,
    login_oidc,
    operations,
    xnat_anonymize,
    xnat_archive,
    xnat_archiving,
    xnat_config,
    xnat_dicomdump,
    xnat_files,
    xnat_import,
    xnat_manage,
    xnat_people,
    xnat_prearchive,
    xnat_remarks,
    xnat_routing,
    xnat_search,
    xnat_session,
    xnat_site,
)
from inbox_pipeline.web.answers import install_error_answers
from inbox_pipeline.web.exchange import ExchangeLayer
from inbox_pipeline.web.identity import refuse_other_sites
from inbox_pipeline.web.metrics import Metrics

ROUTERS = (
    operations.router,
    login_oidc.router,
    xnat_session.router,
    xnat_session.tokens,
    xnat_site.router,
    xnat_import.router,
    xnat_anonymize.router,
    xnat_config.router,
    xnat_routing.router,
    xnat_people.xapi,
    xnat_people.router,
    xnat_prearchive.router,
    xnat_archiving.router,
    xnat_dicomdump.router,
    api.router,
    audit.router,
    xnat_manage.router,
    xnat_remarks.router,
    xnat_archive.router,
    xnat_search.router,
    xnat_files.router,
)
"""In the order in which they are tried: the archive's many routes last."""
SECURITY = {
    "basic": {"type": "http", "scheme": "basic", "description": "Login and password, or an alias token."},
    "session": {"type": "apiKey", "in": "cookie", "name": "JSESSIONID"},
}


class _Application(FastAPI):
    """FastAPI whose description tells our errors instead of its own, and how to log in."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI description."""
        description = super().openapi()
        description.setdefault("components", {})["securitySchemes"] = SECURITY
        description["security"] = [{name: []} for name in SECURITY]
        for operations_of_path in description["paths"].values():
            for operation in operations_of_path.values():
                operation["responses"].pop("422", None)
        return description


def create_app(site: Site) -> FastAPI:
    """Return the web application of a site."""
    app = _Application(
        title="inbox_pipeline",
        version=version("inbox-pipeline"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(refuse_other_sites)],
    )
    app.state.site = site
    app.state.started = time.monotonic()
    app.state.metrics = Metrics(site)
    install_error_answers(app)
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(ExchangeLayer, metrics=app.state.metrics)
    return app
