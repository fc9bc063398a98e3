"""What applying a script promises: changes told, errors undone, values never shown, bytes left alone."""

import io
import logging
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag

from inbox_pipeline.script import RunError, ScriptError, compile_script

SECRET = "Zimmermann^Ottilie"
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]


def _sample() -> Dataset:
    """A data set with sequences, private blocks and file meta information, nothing decoded."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPInstanceUID, dataset.StudyDate, dataset.Modality = "1.2.3", "20200102", "MR"
    dataset.PatientName, dataset.PatientID, dataset.Rows = SECRET, "P1", 4
    inner = Dataset()
    inner.ReferencedSOPInstanceUID, inner.PatientID = "1.2.9", "P1"
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.4"
    item.ReferencedSeriesSequence = Sequence([inner])
    dataset.ReferencedImageSequence = Sequence([item, Dataset()])
    block = dataset.private_block(0x0029, "ACME", create=True)
    block.add_new(1, "LO", "a")
    block.add_new(2, "US", 7)
    return dataset


def _bytes(dataset: Dataset, syntax: str = SYNTAXES[1]) -> bytes:
    dataset.file_meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.1", "1.2.3"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _read(data: bytes) -> Any:
    return dcmread(io.BytesIO(data))


def _entries(dataset: Dataset) -> dict[int, Any]:
    return {int(tag): entry for tag, entry in dataset.items()}


def _apply(dataset: Dataset, script: str, version: str = "6.7", **named: Any) -> Any:
    return compile_script(f'version "{version}"\n{script}').apply(dataset, {"project": "P"}, **named)


@pytest.mark.parametrize("syntax", SYNTAXES[1:])
def test_untouched_elements_stay_the_bytes_that_they_were(syntax: str) -> None:
    dataset = _read(_bytes(_sample(), syntax))
    before = _entries(dataset)
    outcome = _apply(
        dataset,
        '(0028,0010) = "4" ? (0008,0070) := "four"\n'
        '(0008,1140)[0]/(0008,1155) = "1.2.4" ? (0008,0080) := "read"\n'
        '(0029,{ACME}02) = "7" ? (0008,0081) := "private"\n'
        "-*/(0008,0012)\n"
        'blankValues["nothing like it"]',
    )
    assert outcome.root_tags == {0x00080070, 0x00080080, 0x00080081}
    after = _entries(dataset)
    assert all(after[tag] is entry for tag, entry in before.items())


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_raw_and_decoded_data_sets_come_out_the_same(syntax: str) -> None:
    script = (
        '(0010,0010) := "S"\n*/(0008,1155) ?= "9.9"\nremoveAllPrivateTags\n(0008,0018) := hashUID[(0008,0018)]\n'
        '(0008,1140)[1]/(0008,0070) := "x"\n(0008,0020) := shiftDateByIncrement[(0008,0020), 5]\nblankValues["P1"]'
    )
    raw, decoded = _read(_bytes(_sample(), syntax)), _read(_bytes(_sample(), syntax))
    list(decoded.iterall())
    _apply(raw, script)
    _apply(decoded, script)
    assert _bytes(raw, syntax) == _bytes(decoded, syntax)


def test_changes_name_path_action_and_line() -> None:
    dataset = _read(_bytes(_sample()))
    outcome = _apply(
        dataset,
        '(0010,0010) := "S"\n-(0008,0060)\n(0008,1140)[0]/(0008,1155) := "9"\n-(0008,1140)[0]\n'
        '(0040,0275)[0]/(0040,0007) := "x"\n(0002,0016) := "AE"\nblankValues["P1"]',
    )
    assert [(change.path, change.action, change.line) for change in outcome.changes] == [
        ("(0010,0010)", "set", 2),
        ("(0008,0060)", "delete", 3),
        ("(0008,1140)[0]/(0008,1155)", "set", 4),
        ("(0008,1140)[0]", "empty", 5),
        ("(0040,0275)", "create", 6),
        ("(0040,0275)[0]", "create", 6),
        ("(0040,0275)[0]/(0040,0007)", "set", 6),
        ("(0002,0016)", "set", 7),
        ("(0010,0020)", "empty", 8),
    ]
    assert outcome.root_tags == {0x00100010, 0x00080060, 0x00081140, 0x00400275, 0x00100020}
    assert outcome.file_meta_tags == {0x00020016}


def test_root_tags_are_exactly_what_differs() -> None:
    before, after = _read(_bytes(_sample())), _read(_bytes(_sample()))
    outcome = _apply(after, '*/(0008,1155) ?= "7"\n(0029,{NEW}01) := "b"\n-(0029,{ACME}01)\n(0010,0020) := ""')
    tags = {int(tag) for tag in [*before.keys(), *after.keys()]}
    assert outcome.root_tags == {tag for tag in tags if before.get(tag) != after.get(tag)}


def test_retained_elements_are_told() -> None:
    outcome = _apply(_read(_bytes(_sample())), "retainPrivateTags[(0029,{ACME}01)]")
    assert outcome.kept_root_tags == {0x00290010, 0x00291001}
    assert outcome.root_tags == {0x00291002}


FAILING = [
    "(0008,0070) := nosuch",
    "(0028,0010) := (0010,0010)",
    "(0008,0070) := substring[(0010,0010), 0, 99]",
    "(0008,0020) := shiftDateByIncrement[(0010,0010), 1]",
    '(0010,0010) ~ "(a+" ? -(0010,0010)',
    'shiftDateTimeListByIncrement[(0010,0010), 1, "days"]',
    '(0010,0010)[0]/(0008,0070) := "a"',
    'removeTags[(0010,0010), concatenate["(", (0010,0010)]]',
    "(0008,0018) := mapUID[(0008,0018), (0010,0010)]",
    'set[(0010,0010), "a"]',
    'alterPixels["rectangle", (0010,0010), "solid", "v=0"]',
]


@pytest.mark.parametrize("failing", FAILING)
def test_an_error_undoes_everything_and_shows_no_value(failing: str, caplog: pytest.LogCaptureFixture) -> None:
    data = _bytes(_sample())
    dataset = _read(data)
    before, meta = _entries(dataset), _entries(dataset.file_meta)
    with caplog.at_level(logging.DEBUG), pytest.raises(RunError) as caught:
        _apply(
            dataset,
            '(0010,0020) := "x"\n-*/(0008,1155)\nremoveAllPrivateTags\n(0002,0016) := "AE"\n-(0008,1140)[0]\n'
            '(0008,1140)[5]/(0008,0070) := "a"\n(0029,{N}01) := "b"\n' + failing,
        )
    assert caught.value.line == 9
    assert _entries(dataset) == before
    assert _entries(dataset.file_meta) == meta
    assert all(_entries(dataset)[tag] is entry for tag, entry in before.items())
    shown = f"{caught.value}{caught.value!r}{caught.value.__cause__}{caplog.text}"
    assert not any(part in shown for part in ("Zimmer", "Ottilie", "20200102"))


def test_items_of_decoded_sequences_are_restored() -> None:
    dataset = _sample()
    twin = _sample()
    with pytest.raises(ScriptError):
        _apply(dataset, '-(0008,1140)[0]\n(0008,1140)[4]/(0008,0070) := "a"\n*/(0010,0020) ?= "q"\nv := nosuch')
    assert dataset == twin
    assert not hasattr(dataset, "file_meta")


def test_an_error_names_tag_and_place() -> None:
    with pytest.raises(RunError) as caught:
        _apply(_sample(), '"a" = "a" ? (0008,0070) := lowercase[(0010,2160)]')
    assert (caught.value.line, caught.value.column, caught.value.tag) == (2, 13, "(0010,2160)")


def test_silent_no_ops_are_warned_about_without_values() -> None:
    outcome = _apply(_sample(), "(0010,0010) := (0010,2160)\n(0010,0010) ?= (0010,2160)\nhashUIDList[(0010,0010)]")
    assert [warning.split(":")[0] for warning in outcome.warnings] == ["line 2", "line 3", "line 4"]
    assert "Zimmer" not in "".join(outcome.warnings)


def test_a_rejection_is_neither_success_nor_error() -> None:
    dataset = _read(_bytes(_sample()))
    before = _entries(dataset)
    outcome = _apply(dataset, '(0010,0020) := "x"\nreject[]\nv := nosuch')
    assert outcome.rejected
    assert outcome.changes == ()
    assert _entries(dataset) == before


class _Provider:
    def new_uid(self, script_digest: str, call: int) -> str:
        return f"1.{len(script_digest)}.{call}"

    def mapped_uid(self, prefix: str, value: str) -> str:
        return f"{prefix}.{len(value)}"


def test_uids_come_from_the_provider() -> None:
    dataset = _sample()
    _apply(
        dataset,
        '(0008,0018) := newUID[]\n(0020,000D) := newUID[]\n(0020,000E) := mapUID["1.2.3", "5."]\n'
        'mapReferencedUIDs["6", "(0008,1140)[0]/(0008,1155)"]',
        uids=_Provider(),
    )
    assert (dataset.SOPInstanceUID, dataset.StudyInstanceUID) == ("1.64.0", "1.64.1")
    assert dataset.SeriesInstanceUID == "5.5"
    assert dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "6.5"


def test_get_url_asks_what_it_is_given() -> None:
    script = compile_script(
        'version "6.1"\n(0008,0070) := getURL["http://here/x"]', fetch=lambda url: f"{url[-1]}\ny\n"
    )
    dataset = Dataset()
    script.apply(dataset, {})
    assert dataset.Manufacturer == "xy"


def test_variables_do_not_outlive_an_application() -> None:
    script = compile_script('version "6.1"\n(0008,0060) = "MR" ? v := "a"\n(0008,0070) := v')
    script.apply(_sample(), {})
    with pytest.raises(RunError, match="has not been set"):
        script.apply(Dataset(), {})


def test_elements_that_cannot_be_decoded_are_an_error_of_the_file() -> None:
    dataset = _sample()
    dataset._dict[Tag(0x00081140)] = RawDataElement(Tag(0x00081140), "SQ", 2, b"\x01\x02", 0, False, True)
    with pytest.raises(RunError) as caught:
        _apply(dataset, "-(0008,1140)[0]/(0008,1155)")
    assert caught.value.tag == "(0008,1140)"


def test_pydicom_does_not_speak() -> None:
    dataset = _sample()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _apply(
            dataset, '(0008,0020) := "no date"\n(0018,0050) := "no number"\n(0008,0018) := "x y"\n(0020,0013) := "1.5"'
        )
    assert dataset[0x00180050].value == "no number"


def _statements() -> st.SearchStrategy[str]:
    tags = st.sampled_from(
        ["(0010,0010)", "(0010,0020)", "(0008,0020)", "(0008,1140)[0]/(0008,1155)", "(0029,{ACME}01)", "(0028,0010)"]
    )
    tags |= st.sampled_from(["(0008,1140)[3]/(0008,0070)", "(0029,{N}02)", "(0008,0005)", "(0008,1140)", "(0002,0016)"])
    wild = st.one_of(tags, st.sampled_from(["*/(0008,1155)", "+/(0010,00XX)", "(0008,XXXX)", "(0008,1140)/*", "-*"]))
    value = st.one_of(tags, st.sampled_from(['"ä"', '""', "5", "newUID[]", "hashUID[(0010,0010)]", "nosuch", '"日本"']))
    return st.one_of(
        st.tuples(tags, value).map(lambda pair: f"{pair[0]} := {pair[1]}"),
        st.tuples(wild, value).map(lambda pair: f"{pair[0]} ?= {pair[1]}"),
        wild.map(lambda tag: f"-{tag}"),
        st.tuples(tags, value, tags).map(lambda three: f"{three[0]} = {three[1]} ? -{three[2]}"),
        st.sampled_from(["removeAllPrivateTags", "retainPrivateTags[(0029,{ACME}01)]", "blankValues[(0010,0020)]"]),
    )


@settings(max_examples=150)
@given(st.lists(_statements(), max_size=6).map("\n".join), st.sampled_from(SYNTAXES))
def test_any_script_works_or_leaves_the_data_set_alone(script: str, syntax: str) -> None:
    data = _bytes(_sample(), syntax)
    first, second = _read(data), _read(data)
    before = _entries(first)
    try:
        outcome = _apply(first, script, uids=_Provider())
    except ScriptError:
        assert _entries(first) == before
        assert _entries(first.file_meta) == _entries(_read(data).file_meta)
        return
    list(second.iterall())
    assert _apply(second, script, uids=_Provider()).changes == outcome.changes
    assert first == second
    untouched = [tag for tag in before if tag not in outcome.root_tags]
    assert all(_read(data)[tag] == second[tag] for tag in untouched)
