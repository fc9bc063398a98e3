"""Kills the process that loads it at one named place of an import, once. On a test's PYTHONPATH only.

INBOX_TEST_FAULT names the place and INBOX_TEST_FAULT_MARK the file that proves that it was reached: it is created, with
what lay where at that moment, just before the SIGKILL, and a second arrival does nothing. The fault `armed` kills at
whatever steps of a commit are named by files in the folder INBOX_TEST_ARMOURY, and takes INBOX_TEST_SLOWNESS seconds
more for each file.
"""

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from pathlib import Path


def strike(**facts):
    try:
        handle = os.open(os.environ["INBOX_TEST_FAULT_MARK"], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as mark:
        json.dump({"pid": os.getpid(), **facts}, mark)
    if os.environ.get("INBOX_TEST_FAULT_THEN") == "hang":
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGKILL)


def in_anonymize(module):
    real = module.replace_part

    def replace_part(part, final):
        real(part, final)
        staged = sorted(path.name for path in final.parent.iterdir())
        if len(staged) >= 2:
            strike(place="anonymize", staged=staged)

    module.replace_part = replace_part


def around_rename(module):
    real = module.show_session

    def show_session(staged, root, target):
        if os.environ["INBOX_TEST_FAULT"] == "before-rename":
            strike(place="before-rename", staged=staged.exists(), shown=(root / target).exists())
        real(staged, root, target)
        if os.environ["INBOX_TEST_FAULT"] == "after-rename":
            strike(place="after-rename", staged=staged.exists(), shown=(root / target).exists())

    module.show_session = show_session


def armoury():
    return Path(os.environ["INBOX_TEST_ARMOURY"])


def if_armed(place):
    """Die if a file of that name lies in the armoury; it goes with the first who finds it."""
    try:
        (armoury() / place).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def armed_before(module, name, place, when=lambda *_args: True):
    real = getattr(module, name)

    def armed(*args, **kwargs):
        if when(*args):
            if_armed(place)
        return real(*args, **kwargs)

    setattr(module, name, armed)


def armed_commit(module):
    armed_before(module, "_build", "locked")
    armed_before(module, "_intend", "building")
    armed_before(module, "_show", "intended")
    armed_before(module, "write_rows", "shown")


def slow_anonymize(module):
    """Take time for every file, so that little data gives work for long."""
    real = module.replace_part

    def replace_part(part, final):
        time.sleep(float(os.environ["INBOX_TEST_SLOWNESS"]))
        real(part, final)

    module.replace_part = replace_part


def armed_steps(module):
    armed_before(module, "put_away", "recorded", lambda _site, staging: staging.formers())
    armed_before(module, "end_request", "put away")


def armed_archive(module):
    armed_before(module, "put_aside", "exchanged")
    armed_before(module, "fsync_directory", "away", _is_between_two_renames)
    real = module.filesystem.exchange

    def exchange(one, other):
        """Cannot exchange while a file says so, as on some file systems."""
        return False if (armoury() / "no exchange").exists() else real(one, other)

    module.filesystem.exchange = exchange


def _is_between_two_renames(path):
    return any(path.glob("g[0-9]*")) and any(path.glob("former[0-9]*"))


PLACES = {
    "anonymize": [("inbox_pipeline.services.anonymize", in_anonymize)],
    "before-rename": [("inbox_pipeline.store.archive", around_rename)],
    "after-rename": [("inbox_pipeline.store.archive", around_rename)],
    "armed": [
        ("inbox_pipeline.services.anonymize", slow_anonymize),
        ("inbox_pipeline.services.commit", armed_commit),
        ("inbox_pipeline.services.steps", armed_steps),
        ("inbox_pipeline.store.archive", armed_archive),
    ],
}


class Finder(importlib.abc.MetaPathFinder):
    """Wraps one module as soon as it has been loaded."""

    def __init__(self, name, change):
        self.name, self.change = name, change

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            self.change(module)

        spec.loader.exec_module = exec_module
        return spec


for name, change in PLACES.get(os.environ.get("INBOX_TEST_FAULT"), []):
    sys.meta_path.insert(0, Finder(name, change))
