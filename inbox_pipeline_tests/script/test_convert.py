"""Conversion of 4.2 scripts: the new script does to root elements what the old one did, or it is refused."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from inbox_pipeline.script import RunError, compile_script
from inbox_pipeline.script.convert import NotConvertible, convert
from inbox_pipeline.script.values import element_from_text, standard_vr

from .test_lint import CORRECT
from .test_shared_cases import cases

VARIABLES = {"project": "P", "subject": "S", "session": "E"}
TAGS = [0x00100010, 0x00100020, 0x00100030, 0x00080060, 0x0008103E, 0x00200052, 0x00104000, 0x00290010, 0x00291019]
PUBLIC = [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in TAGS if not tag >> 16 & 1]
WILD = ["(0010,00XX)", "(0010,XXXX)", "(0008,XX@X)", "(0010,00@0)", "(00@0,0@XX)", "(00XX,003X)", "(0X1X,004X)"]
PRIVATE = ["(0029,1019)", "(0029,0010)", "(XXX#,XXXX)"]


class OneUid:
    """Gives the same new UID for every call, so that two scripts can be compared."""

    def new_uid(self, script_digest: str, call: int) -> str:
        return "1.2.3"

    def mapped_uid(self, prefix: str, value: str) -> str:
        return f"{prefix}.{value}"


literals = st.sampled_from(['""', '"A"', '"1.2"', '"MR"', "7"])
names = st.sampled_from(["a", "B", "c", "A", "subject", "Project"])
plain = st.one_of(literals, st.sampled_from(PUBLIC), names)
values = st.one_of(
    plain,
    plain.map("hashUID[{}]".format),
    plain.map("lowercase[{}]".format),
    plain.map('match[{}, "(.)B?", 1]'.format),
    plain.map("substring[{}, 0, 1]".format),
    plain.map('replace[{}, "A", "BB"]'.format),
    st.tuples(plain, plain).map(lambda pair: 'format["{{0}}-{{1}}", {}, {}]'.format(*pair)),
    st.tuples(plain, plain).map(lambda pair: '"{{1}}/{{0}}" {}, {}'.format(*pair)),
    st.just("new UID"),
)
comparisons = st.one_of(
    st.tuples(st.sampled_from(PUBLIC), st.sampled_from(['= "A"', '= ""', '~ ".+"', '~ "M."', "= (0010,0020)"])),
    st.tuples(st.sampled_from(["lowercase[(0010,0020)]", "B", "subject"]), st.sampled_from(['= "a"', '~ "S?"'])),
).map(" ".join)
guards = st.lists(comparisons, max_size=2).map(lambda found: "".join(f"{each} : " for each in found))
assignments = st.tuples(st.sampled_from(PUBLIC * 2 + WILD), values).map(" := ".join)
deletions = st.sampled_from(PUBLIC + WILD + PRIVATE).map("-{}".format)
edits = st.tuples(guards, st.one_of(assignments, assignments, deletions)).map("".join)
definitions = st.tuples(st.sampled_from(["a", "b", "C", "c"]), values).map(" := ".join)
scripts = st.lists(st.one_of(edits, edits, edits, definitions), min_size=1, max_size=7).map("\n".join)
contents = st.dictionaries(st.sampled_from(TAGS), st.sampled_from(["", "A", "MR", "AB", "1.2.840"]))


def dataset_of(content: dict[int, str]) -> Dataset:
    dataset = Dataset()
    for tag, text in content.items():
        vr = "OB" if tag == TAGS[-1] else standard_vr(tag)
        dataset._dict[element_from_text(tag, vr, text).tag] = element_from_text(tag, vr, text)
    return dataset


def outcome(text: str, content: dict[int, str]) -> object:
    """What a script makes of a data set, or that it fails."""
    dataset = dataset_of(content)
    try:
        compile_script(text).apply(dataset, VARIABLES, uids=OneUid())
    except RunError:
        return "fails"
    return {int(element.tag): (element.VR, str(element.value)) for element in dataset}


@given(scripts, st.lists(contents, min_size=3, max_size=3))
@settings(max_examples=300)
def test_the_new_script_does_what_the_old_one_did(text: str, data_sets: list[dict[int, str]]) -> None:
    try:
        converted = convert(text).text
    except NotConvertible:
        assume(False)
    for content in data_sets:
        assert outcome(converted, content) == outcome(text, content), converted


CONVERTED = [
    ("", "6.1", ""),
    ("(0010,0010) := subject", "6.1", "(0010,0010) := subject"),
    ('(0008,0060) = "MR" : -(0010,0010)', "6.1", '(0008,0060) = "MR" ? -(0010,0010)'),
    (
        '(0008,0060) = "MR" : (0008,0070) ~ "GE.*" : -(0010,0010)',
        "6.4",
        'if ( (0008,0060) = "MR" ) {\n  (0008,0070) ~ "GE.*" ? -(0010,0010)\n}',
    ),
    ("(0008,0018) := new UID", "6.1", "(0008,0018) := newUID[]"),
    ('(0008,1010) := "{0}/{1}" project, subject', "6.1", '(0008,1010) := format["{0}/{1}", project, subject]'),
    ('(0008,002X) := ""', "6.5", '(0008,002X) ?= ""'),
    ("-(50X0,XXXX)", "6.1", "-(50X0,XXXX)"),
    ("-(XXX#,XXXX)", "6.1", "removeAllPrivateTags"),
    ("-(60XX,3000)\n-(XXX#,XXXX)", "6.1", "-(60X@,3000)\nremoveAllPrivateTags"),
    ("-(0029,1019)", "6.3", 'delete["(0029,1019)"]'),
    ('(0010,0010) := "a"\n(0010,0010) := "b"', "6.1", '(0010,0010) := "a"'),
    (
        '(0020,0052) ~ ".+" : (0020,0052) := hashUID[(0020,0052)]\n-(0020,0052)',
        "6.1",
        '(0020,0052) ~ ".+" ? (0020,0052) := hashUID[(0020,0052)] : -(0020,0052)',
    ),
    (
        '(0010,0010) := "A"\n(0010,0020) ~ ".+" : (0008,1030) := (0010,0010)',
        "6.4",
        "original_00100010 := (0010,0010)\n"
        '(0010,0010) := "A"\n'
        'if ( (0010,0020) ~ ".+" ) {\n'
        '  original_00100010 ~ "[\\\\s\\\\S]*" ? (0008,1030) := original_00100010 : (0008,1030) := ""\n'
        "}",
    ),
    ('(0008,1030) := NAME\nname := "a"', "6.1", 'name := "a"\n(0008,1030) := name'),
    (
        "(0010,0010) := (0010,0020)",
        "6.1",
        '(0010,0020) ~ "[\\\\s\\\\S]*" ? (0010,0010) := (0010,0020) : (0010,0010) := ""',
    ),
    ('echo := "a"\n(0008,1030) := Echo', "6.1", 'echo_ := "a"\n(0008,1030) := echo_'),
    ("s := substring[subject, 0, 1]\n(0010,0010) := S", "6.1", "(0010,0010) := substring[subject, 0, 1]"),
    ('// about it\n(0010,0010) := a\na := "b"', "6.1", '// about it\na := "b"\n(0010,0010) := a'),
    (
        "// about it\n\n// a name\n(0010,0010) := subject // from XNAT\n\n// end",
        "6.1",
        "// about it\n\n// a name\n(0010,0010) := subject // from XNAT\n\n// end",
    ),
]


@pytest.mark.parametrize(("old", "version", "new"), CONVERTED)
def test_each_construct_has_its_form(old: str, version: str, new: str) -> None:
    converted = convert(old)
    assert converted.text == f'version "{version}"\n{new}'.rstrip("\n") + "\n"
    assert compile_script(converted.text).version == converted.version == version


REFUSED = [
    ('(0010,0010) := urlEncode["a"]', (1, 16), "urlEncode"),
    ('(0010,0010) := "say \\"a\\""', (1, 16), "escape"),
    ('-(0010,0020)\n(0010,0010) := "it\\\'s"', (2, 16), "escape"),
    ('(0010,0010) := "a\\tb"', (1, 16), "escape"),
    ("-(0029,XXXX)", (1, 1), "creator"),
    ("(0010,0010) := (0029,1019)", (1, 16), "creator"),
    ('(0010,00XX) := ""\n-(0010,XXXX)', (2, 1), "line 1"),
    ('(0029,1019) := ""\n-(XXX#,XXXX)', (1, 1), "private"),
    ('(0008,0060) = "MR" : -(0029,1019)\n(0029,1019) := ""', (1, 22), "was there"),
    ("(0010,00XX) := substring[subject, 0, 1]", (1, 1), "may fail"),
    ("a := b\nb := a\n(0010,0010) := a", (1, 6), "circle"),
    ("(0010,0010) := (0040,0275)", (1, 16), "sequence"),
    ('version "6.1"', (1, 1), "DicomEdit 6"),
]


@pytest.mark.parametrize(("text", "place", "word"), REFUSED)
def test_what_cannot_be_said_is_refused_by_place(text: str, place: tuple[int, int], word: str) -> None:
    with pytest.raises(NotConvertible) as caught:
        convert(text)
    assert [word in each.sentence for each in caught.value.refusals if (each.line, each.column) == place]
    assert word in str(caught.value)


def test_every_refusal_is_given_at_once() -> None:
    with pytest.raises(NotConvertible) as caught:
        convert('-(0029,XXXX)\n(0010,0010) := urlEncode["a"]\n')
    assert [each.line for each in caught.value.refusals] == [1, 2]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("(0010,0010) := subject\n-(XXX#,XXXX)", 2, "sequences"),
        ('(0009,1002) := ""', 1, "VR UN"),
        ('(0010,0010) := "a"\n-(0010,0010)', 2, "left out: line 1"),
        ('Subject := "a"\n(0010,0010) := subject', 1, "supplied"),
        ('a := "a"\nA := "b"', 2, "defined above"),
        ("-(50XX,XXXX)", 1, "private elements of the groups 50XX"),
    ],
)
def test_a_change_of_meaning_is_noted(text: str, line: int, word: str) -> None:
    (note,) = convert(text).notes
    assert (note.line, word in note.sentence) == (line, True)


def test_profiles_of_sites_are_converted() -> None:
    for name in ("legacy_labels", "legacy_profile"):
        assert compile_script(convert(CORRECT[name]).text).language == "6.x"


@pytest.mark.shared
def test_cases_of_4_2_hold_for_the_converted_scripts() -> None:
    from .conformance import problems

    for case in (case for case in cases() if case.get("dialect") == "4.2" and "urlEncode" not in case["script"]):
        assert list(problems(case | {"script": convert(case["script"]).text})) == []


def test_variables_made_of_each_other_are_converted_or_refused_in_bounded_time() -> None:
    nested = [f"v{n} := replace[v{n - 1}, v{n - 1}, v{n - 1}]" for n in range(1, 40)]
    text = "\n".join(['v0 := "a"', *nested, "(0010,0010) := v39"])
    assert compile_script(convert(text).text).version == "6.1"
    with pytest.raises(NotConvertible):
        convert(text.replace('"a"', "substring[subject, 0, 1]"))


def test_variables_made_of_each_other_end_the_old_script_in_bounded_time() -> None:
    nested = [f"v{n} := replace[v{n - 1}, v{n - 1}, v{n - 1}]" for n in range(1, 40)]
    with pytest.raises(RunError, match="nested too deeply"):
        compile_script("\n".join(['v0 := "a"', *nested, "(0010,0010) := v39"])).apply(Dataset(), {})
