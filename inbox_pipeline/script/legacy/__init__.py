"""DicomEdit 4.2, the dialect of scripts that state no version (dicomedit specification 7).

Belongs here: its grammar and its evaluation. Does not belong here: translation into DicomEdit 6.
"""

from inbox_pipeline.script.legacy.evaluate import Program42, program

__all__ = ["Program42", "program"]
