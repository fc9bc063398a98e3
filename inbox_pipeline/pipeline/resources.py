"""The one resource: the site that ops, sensors and the schedule work on.

Belongs here: opening and closing a `Site`. Does not belong here: anything done with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from inbox_pipeline.services.site import Site, open_site
from inbox_pipeline.settings import read_settings


class SiteResource(dg.ConfigurableResource):  # type: ignore[type-arg] - dagster leaves the parameter open on purpose
    """Opens the site that the environment names (`INBOX_PIPELINE_*`), each time it is asked to.

    Nothing is opened when the definitions load, so they load without a catalog too.
    """

    home: str | None = None

    @contextmanager
    def opened(self) -> Iterator[Site]:
        """Yield the site, and close its database connections afterwards.

        Raises:
            Rejected: as `open_site`, `not_initialised` among them.
            Unavailable: `catalog_unavailable`.
        """
        site = open_site(read_settings(home=Path(self.home) if self.home else None))
        try:
            yield site
        finally:
            site.catalog.dispose()
