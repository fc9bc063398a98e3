"""`script preview`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from inbox_pipeline_tests.cli.conftest import Run
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder

TEXT = 'version "6.6"\n(0010,0010) := subject\n(0008,0018) := hashUID[(0008,0018)]\n- (0008,1030)\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return session_folder(tmp_path / "in", PatientName="<b>FAKE</b>^\x1b[31mRED", PatientID="FAKE001")


def script(tmp_path: Path, text: str = TEXT, name: str = "f.das") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_text_shows_each_row_with_its_line(run: Run, source: Path, tmp_path: Path) -> None:
    done = run("script", "preview", script(tmp_path), source, "--subject", "S1")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "scripts: f.das"
    assert lines[2] == "Series 1 | MR | 3 files | project=Unassigned, subject=S1, session=FAKE001"
    assert lines[3].split() == ["tag", "name", "before", "after", "action", "line"]
    (uid,) = [line for line in lines if "(0008,0018)  SOPInstanceUID" in line]
    assert uid.count("[3 values]") == 2
    assert uid.endswith("set     f.das:3  (0008,0018) := hashUID[(0008,0018)]")
    (gone,) = [line for line in lines if "StudyDescription" in line]
    assert " ".join(gone.split()) == "(0008,1030) StudyDescription FAKE STUDY (absent) delete f.das:4 - (0008,1030)"
    assert lines[-1] == "3 files previewed, 0 not"
    assert "\x1b" not in done.stdout
    assert "\\x1b[31mRED" in done.stdout


def test_json_is_the_documented_structure(run: Run, source: Path, tmp_path: Path) -> None:
    done = run("script", "preview", script(tmp_path), source, "--format", "json", "--site-script", "default")
    made = json.loads(done.stdout)
    assert list(made) == ["version", "scripts", "files", "actions", "series", "stopped"]
    assert (made["version"], made["scripts"]) == (1, ["default site script", "f.das"])
    assert made["files"] == {"previewed": 3, "stopped": 0}
    ((series),) = made["series"]
    ((table),) = series["tables"]
    (row,) = [row for row in table["rows"] if row["tag"] == "(0010,0010)"]
    assert row == {
        "tag": "(0010,0010)",
        "name": "PatientName",
        "before": "<b>FAKE</b>^\x1b[31mRED",
        "before_values": 1,
        "after": series["subject"],
        "after_values": 1,
        "changes": 3,
        "action": "set",
        "script": "f.das",
        "line": 2,
        "source": "(0010,0010) := subject",
    }
    assert table["unchanged"]["least"] == table["unchanged"]["most"] > 10


class Outside(HTMLParser):
    """Collects whatever would make a browser ask for something else, or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [name for name, _ in attrs if name in ("src", "href") or name.startswith("on")]


def test_html_is_one_page_in_which_values_are_only_text(run: Run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = run("script", "preview", script(tmp_path), source, "--format", "html", "-o", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert out.stat().st_mode & 0o777 == 0o600
    page = out.read_text("utf-8")
    looked = Outside()
    looked.feed(page)
    assert looked.found == []
    assert not looked.tags & {"script", "link", "img", "iframe", "b"}
    assert "&lt;b&gt;FAKE&lt;/b&gt;" in page
    assert "url(" not in page
    assert "f.das:4" in page


def test_an_output_that_others_could_read_is_closed_to_them(run: Run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("old")
    out.chmod(0o644)
    assert run("script", "preview", script(tmp_path), source, "--format", "json", "-o", out).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert json.loads(out.read_text())["files"]["previewed"] == 3
    assert {path.name for path in tmp_path.iterdir()} == {"f.das", "in", "out.json", "elsewhere"}


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_script_error_is_shown_with_its_caret_and_ends_with_3(
    run: Run, source: Path, tmp_path: Path, form: str
) -> None:
    faulty = script(tmp_path, 'version "6.3"\n(0020,0013) = "2" ? (0028,0010) := "no number"\n')
    done = run("script", "preview", faulty, source, "--format", form)
    assert done.exit_code == 3
    assert "s1-2.dcm" in done.stdout
    if form == "text":
        place = done.stdout.index("f.das:2:21")
        _, shown, caret, *_ = done.stdout[place:].splitlines()
        assert shown[caret.index("^") :].startswith("(0028,0010)")


def test_a_script_that_does_not_compile_ends_with_7(run: Run, source: Path, tmp_path: Path) -> None:
    done = run(
        "script", "preview", script(tmp_path), source, "--script", script(tmp_path, 'version "6.3"\n- (\n', "g.das")
    )
    assert (done.exit_code, done.stdout) == (7, "")
    assert done.stderr.startswith("g.das:2:")
    assert "script_invalid" in done.stderr


def test_nothing_to_preview_ends_with_7(run: Run, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("not DICOM at all, and long enough to be looked at")
    done = run("script", "preview", script(tmp_path), tmp_path / "note.txt")
    assert (done.exit_code, done.stdout) == (7, "")
    assert "nothing_to_preview" in done.stderr


def test_one_file_and_a_silent_no_op(run: Run, tmp_path: Path) -> None:
    path = save(instance(), tmp_path / "a.dcm")
    silent = script(tmp_path, 'version "6.1"\n(0008,0090) := (0008,1048)\n')
    done = run("script", "preview", silent, path)
    assert done.exit_code == 0
    assert "no effect: f.das, line 2: " in done.stdout
    strict = run("script", "preview", silent, path, "--strict-script")
    assert strict.exit_code == 3
    assert "script_no_effect" in strict.stdout


def test_the_page_about_it_lists_every_action_and_member(run: Run, source: Path, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "preview.md").read_text("utf-8").replace("[]", "")
    made = json.loads(run("script", "preview", script(tmp_path), source, "--format", "json").stdout)
    assert all(f"| `{action}` | {meaning} |" in page for action, meaning in made["actions"].items())
    series = made["series"][0]
    table = series["tables"][0]
    members = [name for part in (made, series, table, table["rows"][0]) for name in part]
    assert [name for name in members if f"`{name}`" not in page] == []
