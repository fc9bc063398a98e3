"""What sensors and the schedule share: a tick opens the site, works, and answers in one sentence.

Belongs here: the form of a tick. Does not belong here: what any tick does.
"""

from collections.abc import Callable
from typing import TypeVar

import dagster as dg

from inbox_pipeline.errors import InboxError, Rejected
from inbox_pipeline.pipeline.failures import fault_sentence
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.services.site import Site

Answer = TypeVar("Answer")


def on_site(resource: SiteResource, work: Callable[[Site], Answer]) -> Answer | dg.SkipReason:
    """Return what `work` answers, or skip with the sentence that says why the site cannot be opened or used.

    Raises:
        Rejected: `internal_error`, in place of an unexpected exception, whose message may hold a path.
    """
    try:
        with resource.opened() as site:
            return work(site)
    except InboxError as error:
        return dg.SkipReason(str(error))
    except Exception as error:  # noqa: BLE001 - Dagster stores what a tick raises
        fault = Rejected("internal_error", fault_sentence(error), "Report it.")
    raise fault
