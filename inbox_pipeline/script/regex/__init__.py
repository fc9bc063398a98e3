"""Java regular expressions in bounded steps.

Belongs here: the dialect of java.util.regex, which scripts are written in, read and run by our own machine.
Does not belong here: what a match means to a script.

Python's `re` reads another dialect and cannot be stopped; a script that backtracks for hours on one value would hold an
import. Here every search has a budget of steps, so the same script gives the same result on every machine.
"""

from inbox_pipeline.script.regex.pattern import Pattern, compiled

__all__ = ["Pattern", "compiled"]
