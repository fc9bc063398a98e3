"""Coded entries that record how an instance was de-identified (PS3.3 section C.12.1.1.1, PS3.15 annex E).

Belongs here: building code items and appending them. Does not belong here: which codes a policy claims.
"""

from typing import TYPE_CHECKING

from inbox_pipeline.dicom.quiet import quiet

if TYPE_CHECKING:
    from pydicom import Dataset

DEIDENTIFICATION_METHOD_CODE_SEQUENCE = 0x00120064


def append_method_code(
    dataset: "Dataset", code_value: str, meaning: str, designator: str = "XNAT", version: str = "1.0"
) -> None:
    """Append one item to (0012,0064) De-identification Method Code Sequence, which is made if absent.

    `code_value` goes to (0008,0100), `designator` to (0008,0102), `version` to (0008,0103), `meaning` to (0008,0104);
    an empty `version` is left out. Items that are there stay.
    """
    from pydicom import Dataset, Sequence  # noqa: PLC0415 - costs half a second

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code_value, designator, meaning
    if version:
        item.CodingSchemeVersion = version
    with quiet():
        present = dataset.get(DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
        if present is not None and present.VR == "SQ" and present.value:
            present.value.append(item)
        else:
            dataset.add_new(DEIDENTIFICATION_METHOD_CODE_SEQUENCE, "SQ", Sequence([item]))
