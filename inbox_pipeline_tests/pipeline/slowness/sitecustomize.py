"""Slows down each file of an anonymize step by INBOX_TEST_SLOW seconds. On a test's PYTHONPATH only."""

import importlib.abc
import importlib.machinery
import os
import sys
import time


class Finder(importlib.abc.MetaPathFinder):
    """Wraps one function of one module as soon as it has been loaded."""

    def find_spec(self, fullname, path, target=None):
        if fullname != "inbox_pipeline.services.anonymize":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            real = module.replace_part

            def slow(*arguments, **options):
                time.sleep(float(os.environ["INBOX_TEST_SLOW"]))
                return real(*arguments, **options)

            module.replace_part = slow

        spec.loader.exec_module = exec_module
        return spec


if os.environ.get("INBOX_TEST_SLOW"):
    sys.meta_path.insert(0, Finder())
