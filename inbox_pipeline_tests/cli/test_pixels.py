"""The commands about pixel rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inbox_pipeline.deid.pixel_rules import FORMAT, read_rules
from inbox_pipeline_tests.cli.conftest import Run
from inbox_pipeline_tests.data_for_tests import instance, save

RULES = f"format: {FORMAT}\nrules:\n- {{name: page, modality: MR, action: blank, rectangles: [[0, 0, 8, 1]]}}\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


def test_good_rules_are_counted(run: Run, rules: Path) -> None:
    done = run("pixels", "check", rules)
    assert (done.exit_code, done.stdout) == (0, f"{rules}: 1 rules\n")


def test_every_fault_is_shown_with_its_line(run: Run, rules: Path) -> None:
    rules.write_text(
        RULES + "- {name: page, action: keep}\n- {name: b, modality: CT, action: drop}\n", encoding="utf-8"
    )
    done = run("pixels", "check", rules)
    assert done.exit_code == 7
    shown = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in shown[:2]] == [f"{rules}:4", f"{rules}:5"]
    assert shown[-1].endswith("[pixel_rules_invalid]")


def test_a_file_that_is_not_there(run: Run) -> None:
    for arguments in (["check", "none"], ["explain", "none", "x"], ["import", "--from", "ctp", "none"]):
        done = run("pixels", *arguments)
        assert (done.exit_code, "[pixel_rules_unreadable]" in done.stderr) == (7, True)


def test_which_rule_fires_is_told(run: Run, rules: Path, tmp_path: Path) -> None:
    image, other = save(instance(), tmp_path / "image.dcm"), tmp_path / "other.txt"
    other.write_text("no image", encoding="utf-8")
    done = run("pixels", "explain", rules, image, other, "--json")
    assert done.exit_code == 0
    first, second = json.loads(done.stdout)
    assert (first["kind"], first["rule"], first["rectangles"]) == ("blank", "page", [[0, 0, 8, 1]])
    assert second["kind"] == "unreadable"
    table = run("pixels", "explain", rules, image).stdout
    assert "(0,0,8,1)" in table


def test_kinds_that_pass_are_checked(run: Run, rules: Path) -> None:
    done = run("pixels", "explain", rules, rules, "--pass", "everything")
    assert (done.exit_code, "[parameter_invalid]" in done.stderr) == (7, True)


CTP = '{ Modality.equals("CT") } (0,0,5,5)\n'
DEID = "%filter graylist\nLABEL a\n contains Modality CT\n coordinates 0,0,5,5\n"


@pytest.mark.parametrize(("source", "text"), [("ctp", CTP), ("deid", DEID)])
def test_rules_are_converted(run: Run, tmp_path: Path, source: str, text: str) -> None:
    given, made = tmp_path / "given", tmp_path / "made.yaml"
    given.write_text(text, encoding="utf-8")
    shown = run("pixels", "import", "--from", source, given)
    written = run("pixels", "import", "--from", source, given, "-o", made)
    assert (shown.exit_code, written.exit_code, written.stdout) == (0, 0, "")
    assert made.read_text(encoding="utf-8") == shown.stdout
    (rule,) = read_rules(shown.stdout).rules
    assert rule.citation.startswith("given, line ")


def test_a_line_that_cannot_be_converted_stops_unless_partial(run: Run, tmp_path: Path) -> None:
    given, made = tmp_path / "given", tmp_path / "made.yaml"
    given.write_text(CTP + '{ Nothing.equals("CT") } (0,0,5,5)\n', encoding="utf-8")
    done = run("pixels", "import", "--from", "ctp", given, "-o", made)
    assert (done.exit_code, made.exists()) == (7, False)
    assert done.stderr.startswith(f"{given}:2: ")
    done = run("pixels", "import", "--from", "ctp", given, "-o", made, "--partial")
    assert done.exit_code == 3
    assert "# Not converted: line 2" in made.read_text(encoding="utf-8")


def test_nothing_to_convert_is_refused(run: Run, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("only a comment", encoding="utf-8")
    assert run("pixels", "import", "--from", "ctp", given, "--partial").exit_code == 7
