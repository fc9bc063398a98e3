"""Running pydicom without letting it speak: its warnings and log lines quote element values.

Belongs here: the one context manager that every call into pydicom of this package runs under.
Does not belong here: anything else.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils", "openjpeg.decode")
"""Those of pydicom's codecs too. A logger that is disabled does not silence those below it."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings and logger and switch its value validation off; restores all on exit.

    The settings are global to the process: use one thread per process for pydicom work.
    """
    from pydicom.config import disable_value_validation  # noqa: PLC0415 - costs half a second

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled
