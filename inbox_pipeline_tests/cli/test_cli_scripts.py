"""`script check` and `script convert`: findings with their place, exit codes, JSON, stdin, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline_tests.cli.conftest import Run

FAULTS = [
    ('version "6.3"\n(0010,0010) := ?\n', 2, 16),
    ('version "7.0"\n(0010,0010) := subject\n', 1, 9),
    ('version := "6.1"\n', 1, 9),
    ('version "6.6"\nurlEncode["a"]\n', 2, 1),
    ("version \"6.6\"\n(0010,0010) := 'a'\n", 2, 16),
    ('version "6.6"\n\n(0010,0010) := name\n', 3, 16),
    ('version "6.6"\n(0008,0060) ~ "M[" ? -(0010,0010)\n', 2, 15),
    ('version "6.6"\n*/(0010,0010) := ""\n', 2, 1),
    ('version "6.6"\n(0010,0010) := removeTags[(0010,0020)]\n', 2, 16),
    ("(0010,0010) := who\n", 1, 16),
]


@pytest.mark.parametrize(("text", "line", "column"), FAULTS)
def test_an_error_is_shown_at_its_place_and_refused(
    run: Run, tmp_path: Path, text: str, line: int, column: int
) -> None:
    file = tmp_path / "a.das"
    file.write_text(text)
    done = run("script", "check", file)
    assert done.exit_code == 7
    head, source, caret = done.stdout.splitlines()
    assert head.startswith(f"{file}:{line}:{column}: error: ")
    assert source == "    " + text.splitlines()[line - 1]
    assert caret == " " * (3 + column) + "^"


def test_warnings_refuse_only_when_strict(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.das"
    file.write_text('version "6.6"\n(0010,0010) := (0010,0020)\n')
    done = run("script", "check", file)
    assert done.exit_code == 0
    assert f"{file}:2:1: warning: " in done.stdout
    assert run("script", "check", file, "--strict").exit_code == 7


def test_notes_are_shown_on_demand(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.das"
    file.write_text("(0008,0018) := new UID\n")
    assert run("script", "check", file).stdout == ""
    assert "[root_only]" in run("script", "check", file, "--notes").stdout


def test_several_files_and_stdin_as_json(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.das"
    file.write_text(DEFAULT_SITE_SCRIPT)
    done = run("script", "check", file, "-", "--json", stdin='version "6.6"\n-(0010,0011)\n')
    assert done.exit_code == 0
    (finding,) = json.loads(done.stdout)
    assert (finding["file"], finding["line"], finding["column"], finding["code"]) == ("-", 2, 1, "unknown_tag")
    assert (finding["severity"], finding["source"]) == ("warning", "-(0010,0011)")
    broken = run("script", "check", "-", "--json", stdin="?")
    assert broken.exit_code == 7
    assert json.loads(broken.stdout)[0]["code"] == "script_invalid"


def test_a_server_that_lacks_a_feature(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.das"
    file.write_text('version "6.1"\nremoveTags[(0010,0010)]\n')
    done = run("script", "check", file, "--xnat-version", "1.8.6")
    assert done.exit_code == 7
    assert "removeTags needs DicomEdit 6.6; XNAT 1.8.6 has 6.3 [server_lacks]" in done.stdout
    assert run("script", "check", file, "--xnat-version", "1.9.1").exit_code == 0
    assert run("script", "check", file, "--xnat-version", "six").exit_code == 2


def test_bytes_on_stdin_that_are_no_text(run: Run) -> None:
    assert "[script_unreadable]" in run("script", "check", "-", stdin=b"\xff\xfe").stderr


def test_a_script_is_converted_to_stdout_or_a_file(run: Run, tmp_path: Path) -> None:
    file, output = tmp_path / "old.das", tmp_path / "new.das"
    file.write_text("(0010,0010) := subject\n-(XXX#,XXXX)\n")
    done = run("script", "convert", file)
    assert done.exit_code == 0
    assert done.stdout == 'version "6.1"\n(0010,0010) := subject\nremoveAllPrivateTags\n'
    assert f"{file}:2:1: note: " in done.stderr
    assert run("script", "convert", "-", "-o", output, stdin=file.read_text()).stdout == ""
    assert output.read_text() == done.stdout
    assert run("script", "check", output).exit_code == 0
    assert "[script_not_written]" in run("script", "convert", file, "-o", tmp_path / "no" / "new.das").stderr


def test_what_cannot_be_converted_is_refused_by_place(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "old.das"
    file.write_text('(0010,0010) := urlEncode["a"]\n-(0029,XXXX)\n')
    done = run("script", "convert", file, "-o", tmp_path / "new.das")
    assert (done.exit_code, done.stdout) == (7, "")
    assert f"{file}:1:16: error: " in done.stderr
    assert f"{file}:2:1: error: " in done.stderr
    assert "[script_not_convertible]" in done.stderr
    assert not (tmp_path / "new.das").exists()
    file.write_text("(0010,0010) :=\n")
    assert "[script_invalid]" in run("script", "convert", file).stderr
