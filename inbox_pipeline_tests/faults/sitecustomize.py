"""Kills the process that loads it at one named place of an import, once. On a test's PYTHONPATH only.

INBOX_TEST_FAULT names the place and INBOX_TEST_FAULT_MARK the file that proves that it was reached: it is created, with
what lay where at that moment, just before the SIGKILL, and a second arrival does nothing.
"""

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time


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


PLACES = {
    "anonymize": ("inbox_pipeline.services.anonymize", in_anonymize),
    "before-rename": ("inbox_pipeline.store.archive", around_rename),
    "after-rename": ("inbox_pipeline.store.archive", around_rename),
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


if os.environ.get("INBOX_TEST_FAULT") in PLACES:
    sys.meta_path.insert(0, Finder(*PLACES[os.environ["INBOX_TEST_FAULT"]]))
