"""What can be wrong with one file, as exceptions with stable codes.

Belongs here: the reasons why bytes cannot be read as DICOM or an edited data set cannot be written.
Does not belong here: what a request does about them. No message ever holds an element's value.
"""

from typing import ClassVar


class NotReadable(Exception):
    """The bytes cannot be used as one DICOM instance; `code` is stable, the message names a cause and a byte offset."""

    code: ClassVar[str] = "unparsable"


class Empty(NotReadable):
    """The file has 0 bytes."""

    code = "empty"


class NotDicom(NotReadable):
    """Neither a DICOM prefix (PS3.10 section 7.1) nor a plausible data set without one."""

    code = "not_dicom"


class DicomDir(NotReadable):
    """A Media Storage Directory (PS3.3 annex F): an index of files, not an instance."""

    code = "dicomdir"


class Truncated(NotReadable):
    """A declared length or a missing delimiter reaches beyond the end of the file."""

    code = "truncated"


class Unparsable(NotReadable):
    """The file claims to be DICOM, but its elements cannot be walked, or a bound of the reader was reached."""

    code = "unparsable"


class OverLimits(NotReadable):
    """Working on the file would take more memory than is allowed for one."""

    code = "over_limits"


class NotWritable(Exception):
    """The edited data set cannot be encoded, for instance a text that its character set cannot express."""

    code: ClassVar[str] = "not_writable"
