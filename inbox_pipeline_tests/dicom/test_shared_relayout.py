"""Every real file beside the checkout, written in another transfer syntax: what pydicom makes of the same edit."""

import sys
from collections import Counter
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import read_header
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.dicom.rewrite import rewrite

from .test_shared import files, parsed

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
PIXEL_DATA = 0x7FE00010


def becomes(syntax: str, source: str):
    def edit(dataset: Dataset) -> None:
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        element = dataset.get_item(PIXEL_DATA)
        if element is not None and source not in {IMPLICIT, EXPLICIT, BIG, "1.2.840.10008.1.2.1.99"}:
            dataset.add_new(PIXEL_DATA, "OB", b"\1\2")

    return edit


def saved(data: bytes, source: str, syntax: str) -> Dataset:
    dataset, dest = parsed(data), BytesIO()
    becomes(syntax, source)(dataset)
    for element in dataset.iterall():  # converts all, which pydicom leaves out where it sees no need
        if source == BIG and element.VR == "OW":
            width = dataset.BitsAllocated // 8 if element.tag == PIXEL_DATA else 2
            element.value = np.frombuffer(element.value, f"u{width}").byteswap().tobytes()
    pydicom.dcmwrite(dest, dataset)  # save_as refuses another byte order
    return stripped(pydicom.dcmread(BytesIO(dest.getvalue()), force=True))


def stripped(dataset: Dataset) -> Dataset:
    """Without group lengths in items, and bytes padded: pydicom writes both according to whether it has converted."""
    for element in dataset:
        for nested in element.value if element.VR == "SQ" else ():
            stripped(nested)
        if isinstance(element.value, bytes) and len(element.value) % 2:
            element.value += b"\0"
        if element.tag.element == 0:
            del dataset[element.tag]
    return dataset


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_every_file_becomes_what_pydicom_makes_of_it(syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydicom.config, "convert_wrong_length_to_UN", True)
    counts, different = Counter(), []
    for path, data, _ in files():
        try:
            source = read_header(BytesIO(data), size=len(data)).transfer_syntax_uid
        except NotReadable:
            continue
        dest = BytesIO()
        result = rewrite(BytesIO(data), dest, becomes(syntax, source))
        out = dest.getvalue()
        counts[result.path_taken, source == syntax] += 1
        header = read_header(BytesIO(out), size=len(out))
        assert (header.regular, header.transfer_syntax_uid) == (True, syntax), path
        with quiet():
            if stripped(pydicom.dcmread(BytesIO(out))) != saved(data, source, syntax):
                different.append(path)
    sys.stdout.write(f"{counts}\n")
    assert different == []
