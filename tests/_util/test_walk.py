from __future__ import annotations

from pathlib import Path

from sepbench._util.walk import files, folders, walk


def test_system_hidden_and_own_folders_are_passed_by(tmp_path: Path) -> None:
    for name in ("song 2", "song 10", "@eaDir", "__MACOSX", ".Trash-1000", "#recycle", "made"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vocals.wav").touch()
    (tmp_path / "made" / "separated.json").write_text("{}")
    (tmp_path / "song 2" / "._vocals.wav").touch()
    assert [folder.name for folder in folders(tmp_path)] == ["made", "song 2", "song 10"]
    assert [folder.name for folder in walk(tmp_path)][1:] == ["song 2", "song 10"]
    assert [file.name for file in files(tmp_path / "song 2", {".wav"})] == ["vocals.wav"]
