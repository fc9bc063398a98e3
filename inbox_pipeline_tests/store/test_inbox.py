"""Walking, opening and deleting in a folder that somebody else may be changing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inbox_pipeline.store.inbox import InboxFolder, confined, first_component


def kinds(folder: Path) -> dict[bytes, str]:
    with InboxFolder(os.fsencode(folder)) as opened:
        return {entry.source_path: entry.kind for entry in opened.walk()}


def test_the_walk_names_every_kind_of_entry(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "deep").write_text("x")
    (root / "top").write_text("x")
    os.mkfifo(root / "pipe")
    (root / "gone").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    (root / "overlong").symlink_to("x" * 300)
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root / "a")
    assert kinds(root) == {
        b"a/b/deep": "file",
        b"gone": "link_broken",
        b"in": "link_inside",
        b"loop": "link_broken",
        b"overlong": "link_broken",
        b"out": "link_leaves_folder",
        b"pipe": "special_file",
        b"top": "file",
    }


def test_a_tree_deeper_than_any_path_is_walked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH_MAX limits the paths that a call takes, not how deep folders may lie."""
    monkeypatch.chdir(tmp_path)
    for _ in range(50):
        Path("d" * 100).mkdir()
        os.chdir("d" * 100)
    Path("file").write_text("x")
    Path("link").symlink_to("file")
    assert sorted(kinds(tmp_path).values()) == ["file", "link_broken"]


def test_a_folder_replaced_by_a_link_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "f").write_text("mine")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("not mine")
    with InboxFolder(os.fsencode(root)) as opened:
        (root / "a" / "f").unlink()
        (root / "a").rmdir()
        (root / "a").symlink_to(secret)
        with pytest.raises(OSError), opened.open(b"a/f"):
            pass
        with pytest.raises(OSError):
            opened.unlink(b"a/f")
    assert (secret / "f").exists()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with InboxFolder(os.fsencode(tmp_path)) as opened, pytest.raises(OSError), opened.open(b"pipe"):
        pass


def test_empty_folders_go_and_the_requested_one_stays(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_text("x")
    (tmp_path / "a" / "other").write_text("x")
    with InboxFolder(os.fsencode(tmp_path)) as opened:
        opened.unlink(b"a/b/f")
        opened.remove_empty_folders(b"a/b/f")
        assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]
        opened.unlink(b"a/other")
        opened.remove_empty_folders(b"a/other")
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_inside_only_by_its_real_place(tmp_path: Path) -> None:
    root = tmp_path / "inbox"
    (root / "P" / "s").mkdir(parents=True)
    (tmp_path / "inbox2").mkdir()
    (root / "P" / "out").symlink_to(tmp_path / "inbox2")
    assert confined(str(root / "P" / "s"), root) == os.fsencode(os.path.realpath(root / "P" / "s"))
    assert confined(str(tmp_path / "inbox2"), root) is None
    assert confined(str(root / "P" / "out"), root) is None
    assert confined(str(root / "P" / ".." / ".." / "inbox2"), root) is None
    real = confined(str(root / "P" / "s"), root)
    assert real is not None
    assert first_component(real, root) == "P"
    assert first_component(os.fsencode(os.path.realpath(root)), root) == ""


def test_one_path_is_an_entry_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_text("x")
    with InboxFolder(os.fsencode(tmp_path)) as opened:
        found = [opened.entry(path) for path in (b"a/f", b"a", b"a/none", b"none/f")]
    assert [entry and entry.kind for entry in found] == ["file", "unreadable", None, None]
