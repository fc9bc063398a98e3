"""The composition root of the HTTP side.

Belongs here: `create_app`, which binds routes and layers to one site. Does not belong here: routes, and starting a
server (`serve.py`).
"""

from __future__ import annotations

import time
from importlib.metadata import version

from fastapi import Depends, FastAPI
from starlette.responses import Response

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
    xnat_delete,
    xnat_dicomdump,
    xnat_files,
    xnat_import,
    xnat_manage,
    xnat_people,
    xnat_prearchive,
    xnat_relabel,
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
from inbox_pipeline.web.routes import Routes

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
    xnat_relabel.router,
    xnat_delete.router,
    xnat_delete.own,
    xnat_files.router,
)
"""In the order in which they are tried: the archive's many routes last."""


def create_app(site: Site) -> FastAPI:
    """Return the web application of a site."""
    app = FastAPI(
        title="inbox_pipeline",
        version=version("inbox-pipeline"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=Response,
        dependencies=[Depends(refuse_other_sites)],
    )
    app.state.site = site
    app.state.documents = {}
    app.state.started = time.monotonic()
    app.state.metrics = Metrics(site)
    install_error_answers(app)
    for router in ROUTERS:
        app.include_router(router)
    app.state.routes = Routes(app)
    app.add_middleware(ExchangeLayer, metrics=app.state.metrics)
    return app
