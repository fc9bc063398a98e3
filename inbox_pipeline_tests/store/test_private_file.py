"""Files that say who somebody is: whole or not at all, for their owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from inbox_pipeline.store.private_file import replacing


def test_only_the_owner_can_read_it_whatever_lay_there_before(tmp_path: Path) -> None:
    path, part, other = tmp_path / "map.csv", tmp_path / "map.csv.part", tmp_path / "other"
    path.write_text("old")
    path.chmod(0o644)
    other.write_text("stays")
    part.symlink_to(other)
    with replacing(path) as file:
        file.write("Größe \udcff\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == "Größe \\udcff\n".encode()
    assert other.read_text() == "stays"
    assert sorted(tmp_path.iterdir()) == [path, other]


def test_what_lay_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="half"), replacing(path) as file:
        file.write("new")
        raise ValueError("half")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
