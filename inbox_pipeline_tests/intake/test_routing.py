"""Administrators' routing expressions: what is a rule, what it finds, and which are refused."""

from __future__ import annotations

import time

import pytest

from inbox_pipeline.intake.identify import identify, project_candidates, told
from inbox_pipeline.intake.routing import NO_ROUTING, BadRule, Routing, RuleTooSlow, read_rules
from inbox_pipeline_tests.intake.test_identify import header

COMMENTS, DESCRIPTION, NAME, PATIENT_ID = 0x00104000, 0x00081030, 0x00100010, 0x00100020


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        (r"(0008,1030):Project:\s*(\w+)", "Project: ProjectA", "ProjectA"),
        (r"(0008,1030):Project:\s*(\w+)", "Project: ProjectA today", None),
        (r"(0008,1030):(\w+)_(\w+):2", "A_B", "B"),
        (r"(0008,1030):(a)|b", "b", None),
        (r"(0008,1030):.*:0", "anything", "anything"),
        (r"(0008,1030):.*:0", "first\\second", "first"),
        (r"(0010,4000):.*:0", "one\\text", "one\\text"),
        (r"(0010,4000):(.*)", "x" * 70, "x" * 64),
        (r"(0010,4000):(.*):1 t:x+ r:y", "x" * 70, "y"),
        (r"(0008,1030):(.*) t:(\d+)-(\d+) r:$2_$1", "3-4 and 5-6", "4_3 and 6_5"),
        (r"(0008,1030):(.*) t:\s r:", "a b c", "abc"),
        (r"(0008,1030):a(?::b)?(c):1", "a:bc", "c"),
        (r"(0008,1030): (a)", " a", None),
        ("(0009,1001):(.*)", "private", "private"),
        ("(0010,0010):([^^]+).*", "DOE^JANE", "DOE"),
    ],
)
def test_what_a_rule_makes_of_a_value(rule: str, text: str, value: str | None) -> None:
    (read,) = read_rules(f"\n{rule}  \n")
    assert (read.line, read.value(text)) == (2, value)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("0008,1030:(.*)", 1, "a rule is"),
        ("(0008,1030):(.*)\n(0008,103):(.*)", 2, "a rule is"),
        ("# (0008,1030):(.*)", 1, "a rule is"),
        ("(0008,1030):.*", 1, "no group of that number"),
        ("(0008,1030):(.*):2", 1, "no group of that number"),
        ("(0008,1030):(.*", 1, "without its )"),
        ("(0008,1030):(.*) t:( r:x", 1, "without its )"),
        ("(0008,1030):(.*) t:x r:$1", 1, "no group of that number"),
        ("(0008,1030):(.*) t:x r:$", 1, "means nothing"),
        ("(0028,0010):(.*)", 1, "no text"),
        ("(0008,1140):(.*)", 1, "no text"),
        ("(7FE0,0010):(.*)", 1, "no text"),
        ("(0002,0010):(.*)", 1, "not one of the data set"),
        (r"(0008,1030):((a+)+)b", 1, "takes too long"),
        (r"(0008,1030):((\w|\d)*)x", 1, "takes too long"),
        (r"(0008,1030):(.*) t:(x+x+)+y r:", 1, "takes too long"),
        ("(0008,1030):(a)\n" * 201, 201, "more than 200"),
        (f"(0008,1030):({'a' * 2000})", 1, "2000 characters"),
    ],
)
def test_what_cannot_work_is_refused_at_its_line(text: str, line: int, message: str) -> None:
    began = time.monotonic()
    with pytest.raises(BadRule) as error:
        read_rules(text)
    assert (error.value.line, message in error.value.message) == (line, True), error.value.message
    assert time.monotonic() - began < 5


def rules(**texts: str) -> Routing:
    return Routing({target: read_rules(text) for target, text in texts.items()})


def with_others(others: dict[int, str], **values: str | None) -> object:
    made = header(**values)
    made.others = others
    return made


@pytest.mark.parametrize(
    ("explicit", "comments", "found"),
    [
        ("ASKED", "id 7 Subject:C", ("ASKED", "parameter", None)),
        (None, "id 7 Subject:C", ("S_7", "routing", 2)),
        (None, "Subject:C", ("C", "patient_comments", None)),
        (None, "", ("DOE_JANE", "patient_name", None)),
    ],
)
def test_rules_come_after_what_was_asked_and_before_comments(
    explicit: str | None, comments: str, found: tuple[str, str, int | None]
) -> None:
    routing = rules(subject="(0008,1030):(never)\n(0010,4000):id (\\d).* t:^ r:S.")
    made = with_others({COMMENTS: comments}, patient_name="DOE^JANE", patient_comments=comments)
    subject = identify(made, explicit, None, routing).subject
    assert (subject.label, subject.rule, subject.line) == found


def test_a_rule_that_reads_who_the_patient_is_gives_no_chosen_label() -> None:
    routing = rules(session="(0010,0020):(\\d+)", subject="(0008,1030):(.*)")
    made = with_others({PATIENT_ID: "4711", DESCRIPTION: "study"})
    identity = identify(made, None, None, routing)
    assert (identity.session.label, identity.session.given) == ("4711", False)
    assert (identity.subject.label, identity.subject.given) == ("study", True)


def test_projects_are_those_that_whoever_asks_may_use() -> None:
    routing = rules(project="(0010,4000):to (\\w+)\n(0008,1030):(.*)")
    made = with_others(
        {COMMENTS: "to OTHERS", DESCRIPTION: "mine"},
        patient_comments="Project:p2",
        study_description="mine",
        accession_number="777",
    )
    known = {"mine": "MINE", "p2": "P2"}.get
    found = list(project_candidates(made, "ASKED", known, routing))
    assert [(each.label, each.rule) for each in found] == [
        ("ASKED", "parameter"),
        ("MINE", "routing"),
        ("P2", "patient_comments"),
        ("MINE", "study_description"),
    ]
    shown = told(found, labels=False)
    assert shown == {
        "rule": "parameter",
        "others": [
            {"rule": "routing", "tag": "(0008,1030)", "line": 2},
            {"rule": "patient_comments", "tag": "(0010,4000)"},
            {"rule": "study_description", "tag": "(0008,1030)"},
        ],
    }


def test_a_rule_that_is_too_slow_after_all_is_told_by_its_line() -> None:
    (rule,) = read_rules("(0010,4000):(?s)(.*) t:a.*a.*a.*z r:x")
    slow = Routing({"subject": [rule]})
    made = with_others({COMMENTS: "a" * 3000})
    with pytest.raises(RuleTooSlow, match="subject rules, line 1"):
        identify(made, None, None, slow)
    assert identify(made, "ASKED", None, slow).subject.label == "ASKED"


def test_without_rules_no_element_is_read() -> None:
    assert NO_ROUTING.tags == frozenset()
    assert rules(subject="(0010,4000):(.)", session="(0008,1030):(.)\n(0010,4000):(.)").tags == {COMMENTS, DESCRIPTION}
