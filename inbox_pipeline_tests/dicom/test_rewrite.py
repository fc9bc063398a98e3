import hashlib
import logging
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.tag import Tag

from inbox_pipeline.dicom.codes import append_method_code
from inbox_pipeline.dicom.errors import DicomDir, NotReadable, NotWritable, Truncated
from inbox_pipeline.dicom.header import read_header
from inbox_pipeline.dicom.meta import IMPLEMENTATION_CLASS_UID
from inbox_pipeline.dicom.rewrite import Rewritten, rewrite

from .builders import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PIXELS,
    RLE,
    SYNTAXES,
    body,
    every_vr,
    framed,
    instance,
    item,
    meta,
    part10,
    read,
    undefined,
    with_pixels,
)

FAST = (IMPLICIT, EXPLICIT, RLE)
TOUCHED = {0x00080000, 0x00081030, 0x00100000, 0x00100010, 0x00100020, 0x00120064}


def nothing(dataset: Dataset) -> None:
    """An edit that changes nothing."""


def default_script(dataset: Dataset) -> None:
    dataset.StudyDescription, dataset.PatientName, dataset.PatientID = "PROJECT", "SUBJECT", "SESSION"
    append_method_code(dataset, "1", "XNAT DicomEdit 4 Script")


def run(data: bytes, edit=nothing, **options) -> tuple[bytes, Rewritten]:
    dest = BytesIO()
    result = rewrite(BytesIO(data), dest, edit, **options)
    return dest.getvalue(), result


def roots(data: bytes) -> dict[int, object]:
    """Root elements by tag: raw ones as pydicom found them but for their place in the file."""
    dataset = read(data)
    return {int(tag): e._replace(value_tell=0) if e.is_raw else e for tag, e in dataset.items()}


def data_set_bytes(data: bytes, syntax: str) -> bytes:
    start = 132
    while data[start : start + 2] == b"\2\0":
        long = data[start + 4 : start + 6] == b"OB"
        length = int.from_bytes(data[start + 8 : start + 12] if long else data[start + 6 : start + 8], "little")
        start += (12 if long else 8) + length
    return data[start:]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("shape", [lambda d: d, undefined])
def test_without_an_edit_the_data_set_keeps_its_bytes(syntax: str, shape) -> None:
    data = part10(with_pixels(shape(every_vr()), syntax), syntax)
    out, result = run(data)
    assert result.path_taken == ("fast" if syntax in FAST else "full")
    assert out[:132] == data[:132]
    if syntax == DEFLATED:
        assert roots(out).keys() == roots(data).keys()
        assert read(out) == read(data)
    else:
        assert data_set_bytes(out, syntax) == data_set_bytes(data, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("shape", [lambda d: d, undefined])
def test_the_default_script_changes_nothing_else(syntax: str, shape) -> None:
    data = part10(with_pixels(shape(every_vr()), syntax), syntax)
    out, _ = run(data, default_script)
    before, after = roots(data), roots(out)
    assert {t: e for t, e in before.items() if t not in TOUCHED} == {t: e for t, e in after.items() if t not in TOUCHED}
    got = read(out)
    assert (got.StudyDescription, got.PatientName, got.PatientID) == ("PROJECT", "SUBJECT", "SESSION")
    code = got.DeidentificationMethodCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodingSchemeVersion) == ("1", "XNAT", "1.0")
    assert code.CodeMeaning == "XNAT DicomEdit 4 Script"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_digests_and_facts(syntax: str) -> None:
    data = part10(with_pixels(instance(), syntax), syntax)
    out, result = run(data, lambda ds: setattr(ds, "SOPInstanceUID", "1.2.77"))
    assert result.source_sha256 == hashlib.sha256(data).hexdigest()
    assert result.output_sha256 == hashlib.sha256(out).hexdigest()
    assert result.output_md5 == hashlib.md5(out, usedforsecurity=False).hexdigest()
    assert result.pixel_sha256 == hashlib.sha256(read(data)[0x7FE00010].value).hexdigest()
    assert result.output_bytes == len(out)
    assert (result.sop_instance_uid, result.study_instance_uid, result.series_instance_uid) == (
        "1.2.77",
        "1.2.3",
        "1.2.3.4",
    )
    assert (result.modality, result.series_number, result.instance_number, result.number_of_frames) == ("MR", 3, 17, 1)
    assert result.transfer_syntax_uid == syntax


def test_group_0002_agrees_with_the_data_set() -> None:
    frame = bytes(128) + b"DICM" + meta(EXPLICIT, SourceApplicationEntityTitle="AET")
    source = frame + body(instance(), EXPLICIT)
    out, _ = run(source, lambda ds: setattr(ds, "SOPInstanceUID", "1.2.77"))
    file_meta = read(out).file_meta
    assert (file_meta.MediaStorageSOPInstanceUID, file_meta.TransferSyntaxUID) == ("1.2.77", EXPLICIT)
    assert file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert file_meta.SourceApplicationEntityTitle == "AET"
    assert file_meta.FileMetaInformationGroupLength == len(out) - len(data_set_bytes(out, EXPLICIT)) - 132 - 12
    out, _ = run(source, lambda ds: ds.file_meta.pop("SourceApplicationEntityTitle"))
    assert "SourceApplicationEntityTitle" not in read(out).file_meta


def test_preamble_is_kept_or_blanked() -> None:
    data = part10(instance())
    assert run(data)[0][:128] == b"P" * 128
    assert run(data, zero_preamble=True)[0][:128] == bytes(128)


def test_group_lengths_go() -> None:
    for syntax in (EXPLICIT, BIG):
        order = "little" if syntax == EXPLICIT else "big"
        tag = (8).to_bytes(2, order) + bytes(2)
        length = tag + b"UL" + (4).to_bytes(2, order) + (99).to_bytes(4, order)
        out, _ = run(framed(length + body(instance(), syntax), syntax))
        assert data_set_bytes(out, syntax) == body(instance(), syntax)


@pytest.mark.parametrize("syntax", FAST)
def test_reading_is_no_change(syntax: str) -> None:
    odd = b"\x08\x00\x05\x00CS\x0a\0ISO_IR 100" + b"\x08\x00\x20\x00DA\x0a\x002020.01.02"
    odd += b"\x10\x00\x10\x00PN\x08\0 Eve\xe4^ \0" + b"\x10\x00\x10\x10AS\x02\x0042"
    odd += b"\x20\x00\x13\x00IS\x06\x00 +007 "

    def read_all(dataset: Dataset) -> None:
        for element in dataset.iterall():
            assert element.value is not element

    data = framed(odd, EXPLICIT)
    assert data_set_bytes(run(data, read_all)[0], EXPLICIT) == odd
    data = part10(with_pixels(undefined(every_vr()), syntax), syntax)
    out, result = run(data, read_all)
    assert result.path_taken == "fast"
    assert data_set_bytes(out, syntax) == data_set_bytes(data, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_nested_changes_are_found_without_a_report(syntax: str) -> None:
    def edit(dataset: Dataset) -> None:
        dataset.ReferencedStudySequence[0].ReferencedSeriesSequence[0].ReferencedSOPInstanceUID = "9.9"
        dataset[0x00291002].value[0].PatientName = "X"

    out, _ = run(part10(with_pixels(undefined(instance()), syntax), syntax), edit)
    assert b"1.2.9" not in out
    assert b"Inner" not in out
    got = read(out)
    assert got.ReferencedStudySequence[0].ReferencedSeriesSequence[0].ReferencedSOPInstanceUID == "9.9"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixel_data_can_be_asked_for_read_deleted_and_replaced(syntax: str) -> None:
    data = part10(with_pixels(instance(), syntax), syntax)

    def look(dataset: Dataset) -> None:
        assert "PixelData" in dataset
        assert PIXELS in dataset.PixelData

    assert data_set_bytes(run(data, look)[0], syntax) == data_set_bytes(data, syntax)
    out, result = run(data, lambda ds: ds.__delitem__("PixelData"))
    assert (result.pixel_sha256, "PixelData" in read(out)) == (None, False)
    if syntax != RLE:
        out, result = run(data, lambda ds: setattr(ds, "PixelData", b"\1\2"))
        assert (read(out).PixelData, result.pixel_sha256) == (b"\1\2", hashlib.sha256(b"\1\2").hexdigest())


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_long_values_stay_in_the_file_until_asked_for(syntax: str) -> None:
    blob = bytes(range(256)) * 2000
    dataset = with_pixels(instance(), syntax)
    dataset.private_block(0x0029, "TEST CREATOR").add_new(0x03, "OB", blob)
    data = part10(dataset, syntax)
    out, result = run(data, default_script)
    assert result.path_taken == "fast"
    assert blob in out
    seen = []
    out, _ = run(data, lambda ds: seen.append(ds[0x00291003].value))
    assert seen == [blob]
    assert data_set_bytes(out, syntax) == data_set_bytes(data, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_new_character_set_recodes_every_text(syntax: str) -> None:
    dataset = undefined(with_pixels(instance(), syntax))
    dataset.ReferencedStudySequence[0].PatientName = "Größe"
    out, _ = run(part10(dataset, syntax), lambda ds: setattr(ds, "SpecificCharacterSet", "ISO_IR 192"))
    got = read(out)
    assert (got.PatientName, got.Manufacturer) == ("Fälschung^Anna", "Müller GmbH")
    assert got.ReferencedStudySequence[0].PatientName == "Größe"
    assert read_header(BytesIO(out), size=len(out)).patient_name == "Fälschung^Anna"


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
def test_text_that_the_character_set_cannot_hold_is_refused(syntax: str) -> None:
    with pytest.raises(NotWritable) as caught:
        run(part10(instance(), syntax), lambda ds: setattr(ds, "PatientName", "名前"))
    assert "名" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_public_tags_stored_as_un_are_edited() -> None:
    encoded = b"\x08\x00\x18\x00UN\0\0\x04\0\0\x001.2\0" + b"\x10\x00\x20\x00UN\0\0\x04\0\0\0P-77"
    out, result = run(framed(encoded, EXPLICIT), default_script)
    assert (result.path_taken, result.sop_instance_uid) == ("fast", "1.2")
    assert b"P-77" not in out
    assert encoded[:16] in out
    assert read(out).PatientID == "SESSION"


def test_elements_behind_the_pixel_data_reach_the_editor() -> None:
    dataset = with_pixels(instance(), EXPLICIT)
    dataset.add_new(0xFFFCFFFC, "OB", b"secret padding")
    data = part10(dataset)
    assert data_set_bytes(run(data)[0], EXPLICIT) == data_set_bytes(data, EXPLICIT)
    out, result = run(data, lambda ds: ds.__delitem__(0xFFFCFFFC))
    assert result.path_taken == "fast"
    assert b"secret" not in out
    assert read(out).PixelData == PIXELS


@pytest.mark.parametrize(
    "frame", [lambda e: e, lambda e: bytes(128) + b"DICM" + e, lambda e: framed(e, EXPLICIT) + b"\0\0"]
)
def test_unusual_frames_become_part_10(frame) -> None:
    encoded = body(with_pixels(instance(), EXPLICIT), EXPLICIT)
    out, result = run(frame(encoded), default_script)
    assert result.path_taken == "full"
    got = read_header(BytesIO(out), size=len(out))
    assert (got.regular, got.transfer_syntax_uid, got.patient_id) == (True, EXPLICIT, "SESSION")
    assert got.media_storage_sop_instance_uid == "1.2.3.4.5"


def test_unknown_value_representations_become_un() -> None:
    encoded = b"\x08\x00\x05\x00CS\0\0" + b"\x08\x00\x30\x10XX\x02\0S1" + b"\x10\x00\x20\x00ZZ\x02\0P1"
    out, result = run(framed(encoded, EXPLICIT), lambda ds: setattr(ds, "PatientID", "NEW"))
    assert result.path_taken == "full"
    assert (read(out).PatientID, read(out).StudyDescription) == ("NEW", "S1")


def test_disorder_duplicates_and_foreign_layout_take_the_full_road() -> None:
    study, patient = b"\x08\x00\x30\x10LO\x02\0S1", b"\x10\x00\x20\x00LO\x02\0P1"
    for encoded in (patient + study, study + study + patient):
        out, result = run(framed(encoded, EXPLICIT))
        assert (result.path_taken, data_set_bytes(out, EXPLICIT)) == ("full", study + patient)
    out, result = run(framed(body(instance(), IMPLICIT), EXPLICIT), default_script)
    got = read_header(BytesIO(out), size=len(out))
    assert (result.path_taken, got.regular) == ("full", True)
    assert (got.patient_id, got.manufacturer) == ("SESSION", "Müller GmbH")


def test_what_cannot_be_read_is_refused_before_a_byte_is_written() -> None:
    directory = framed(body(item(SOPClassUID="1.2.840.10008.1.3.10"), EXPLICIT), EXPLICIT)
    for data, error in ((directory, DicomDir), (part10(with_pixels(instance(), EXPLICIT))[:-1], Truncated)):
        dest = BytesIO()
        with pytest.raises(error):
            rewrite(BytesIO(data), dest, nothing)
        assert dest.getvalue() == b""


def test_what_the_edit_raises_passes_and_nothing_is_written() -> None:
    def refuse(dataset: Dataset) -> None:
        raise KeyError("mine")

    dest = BytesIO()
    with pytest.raises(KeyError, match="mine"):
        rewrite(BytesIO(part10(instance())), dest, refuse)
    assert dest.getvalue() == b""


def test_a_source_that_shrinks_meanwhile_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "shrinks"
    dataset = instance()
    dataset.add_new(0x7FE00010, "OW", bytes(3_000_000))
    path.write_bytes(part10(dataset))

    def shrink(dataset: Dataset) -> None:
        with path.open("r+b") as file:
            file.truncate(1_000_000)

    with path.open("rb") as source, pytest.raises(Truncated):
        rewrite(source, BytesIO(), shrink)


@pytest.mark.parametrize("buffering", [-1, 0])
def test_real_files_and_raw_streams(tmp_path: Path, buffering: int) -> None:
    dataset = instance()
    dataset.add_new(0x7FE00010, "OW", bytes(range(256)) * 10_000)
    (tmp_path / "in").write_bytes(part10(dataset))
    with (tmp_path / "in").open("rb") as source, open(tmp_path / "out", "wb", buffering) as dest:
        result = rewrite(source, dest, default_script)
    out = (tmp_path / "out").read_bytes()
    assert hashlib.sha256(out).hexdigest() == result.output_sha256
    assert read(out).PixelData == dataset.PixelData


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(megabytes: int) -> int:
        path = tmp_path / str(megabytes)
        dataset = instance()
        dataset.add_new(0x7FE00010, "OW", b"")
        start = part10(dataset)[:-4]
        with path.open("wb") as file:
            file.write(start + (megabytes << 20).to_bytes(4, "little"))
            file.truncate(len(start) + 4 + (megabytes << 20))
        with path.open("rb") as source, open("/dev/null", "wb") as dest:
            tracemalloc.start()
            rewrite(source, dest, default_script)
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return used

    peak(1)
    assert peak(100) < peak(1) + 1_000_000 < 5_000_000


def test_pydicom_speaks_neither_in_warnings_nor_in_logs(caplog: pytest.LogCaptureFixture) -> None:
    encoded = b"\x08\x00\x05\x00CS\x0a\0ISO_IR 999" + b"\x08\x00\x18\x00UI\x08\0bad uid!"
    encoded += b"\x10\x00\x30\x00DA\x06\0SECRET"
    with warnings.catch_warnings(record=True) as seen, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        run(framed(encoded, EXPLICIT), lambda ds: [element.value for element in ds])
    assert (list(seen), caplog.records) == ([], [])
    assert logging.getLogger("pydicom").disabled is False


def test_method_codes_are_appended() -> None:
    dataset = Dataset()
    append_method_code(dataset, "1", "first")
    append_method_code(dataset, "113100", "Basic Application Confidentiality Profile", "DCM", "")
    first, second = dataset.DeidentificationMethodCodeSequence
    assert (first.CodeValue, second.CodeValue, second.CodingSchemeDesignator) == ("1", "113100", "DCM")
    assert "CodingSchemeVersion" not in second


@given(st.data())
@settings(max_examples=150)
def test_mutated_files_are_refused_or_rewritten_readably(draw: st.DataObject) -> None:
    data = bytearray(_MUTANT)
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(132, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        out, _ = run(bytes(data), lambda ds: ds.add_new(0x00100020, "LO", "SESSION"))
    except (NotReadable, NotWritable) as error:
        assert "Anna" not in str(error)
    else:
        assert read_header(BytesIO(out), size=len(out)).patient_id == "SESSION"


_KEYWORDS = ["PatientName", "PatientID", "StudyDescription", "PatientComments", "DeviceSerialNumber", "StudyDate"]


@given(
    edits=st.dictionaries(st.sampled_from(_KEYWORDS), st.none() | st.text("ABC^ 019äö", max_size=20)),
    syntax=st.sampled_from(SYNTAXES),
    undefined_lengths=st.booleans(),
)
@settings(max_examples=100)
def test_an_edit_gives_what_pydicom_gives(edits: dict[str, str | None], syntax: str, undefined_lengths: bool) -> None:
    def edit(dataset: Dataset) -> None:
        for keyword, text in edits.items():
            if text is None:
                dataset.pop(Tag(keyword), None)
            else:
                setattr(dataset, keyword, text)

    dataset = with_pixels(every_vr(), syntax)
    data = part10(undefined(dataset) if undefined_lengths else dataset, syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = read(data)
        edit(expected)
        buffer = BytesIO()
        expected.save_as(buffer)
        out, _ = run(data, edit)
        assert dict(read(out).items()).keys() == dict(read(buffer.getvalue()).items()).keys()
        assert read(out) == read(buffer.getvalue())


_MUTANT = part10(with_pixels(undefined(every_vr()), EXPLICIT))


def test_an_edit_that_leaves_pixel_data_compressed_under_a_native_syntax_is_refused() -> None:
    def mislabel(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = EXPLICIT

    dest = BytesIO()
    with pytest.raises(NotWritable, match="compressed"):
        rewrite(BytesIO(part10(with_pixels(instance(), RLE), RLE)), dest, mislabel)
    assert dest.getvalue() == b""


def test_a_character_set_that_cannot_be_looked_up_is_unparsable() -> None:
    data = part10(instance()).replace(b"ISO_IR 100", b"\x00SO_IR 100")
    with pytest.raises(NotReadable):
        run(data, default_script)


def test_a_meta_element_that_nobody_can_write_is_refused() -> None:
    plain = part10(instance())
    strange = b"\x02\0\x12\x44AI\2\0ab"
    at = plain.index(b"\x08\0\x05\0CS")
    for data in (plain[:at] + strange + plain[at:], plain.replace(b"\x02\0\x10\0UI", b"\x02\0\x10\0WI", 1)):
        with pytest.raises(NotWritable, match="0002"):
            run(data)
