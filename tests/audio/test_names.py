"""Names of songs and of files."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepbench import audio
from sepbench.errors import SepbenchError


def test_folders_and_globs_come_in_natural_order_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    names = ["10 End.wav", "2 Middle.flac", "1 Start.WAV", "album/a.mp3"]
    for name in [*names, "cover.jpg", "._1 Start.wav", "notes.txt"]:
        (tmp_path / name).touch()
    in_order = ["1 Start.WAV", "2 Middle.flac", "10 End.wav", "album/a.mp3"]
    assert audio.find_songs([tmp_path]).songs == [tmp_path / name for name in in_order]
    assert audio.find_songs([tmp_path / "2*", tmp_path]).songs == [
        tmp_path / name for name in ("2 Middle.flac", "1 Start.WAV", "10 End.wav", "album/a.mp3")
    ]
    assert audio.find_songs([str(tmp_path / "**" / "*.mp3")]).songs == [tmp_path / "album/a.mp3"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(tmp_path: Path) -> None:
    for name in ("song [live].wav", "song l.wav"):
        (tmp_path / name).touch()
    assert audio.find_songs([tmp_path / "song [live].wav"]).songs == [tmp_path / "song [live].wav"]


def test_a_name_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no audio file in this folder"):
        audio.find_songs([tmp_path])
    with pytest.raises(SepbenchError, match="no file matches"):
        audio.find_songs([tmp_path / "*.wav"])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("AC/DC", "AC_DC"),
        ("../../etc/passwd", "_.._.._etc_passwd"),
        ("..", "_"),
        ("", "_"),
        ("   ", "_"),
        ("con", "_con"),
        ("aux.wav", "_aux.wav"),
        ("Song 🎵 für dich", "Song 🎵 für dich"),
        ("tab\tnew\nline\0", "tab_new_line_"),
        ("What?", "What_"),
        ("The End...", "The End"),
    ],
)
def test_names_become_safe_and_stay_readable(name: str, safe: str) -> None:
    assert audio.safe_name(name) == safe


@given(st.text(st.characters()))
def test_any_name_is_one_safe_component(name: str) -> None:
    safe = audio.safe_name(name)
    assert 0 < len(safe.encode()) <= 150
    assert not set(safe) & set('<>:"/\\|?*')
    assert not any(unicodedata.category(letter) == "Cc" for letter in safe)
    assert not safe.startswith((".", " "))
    assert not safe.endswith((".", " "))
    assert audio.safe_name(safe) == safe


def test_audio_is_light_to_import() -> None:
    program = (
        "import sys, sepbench.audio; "
        "sys.exit(sorted({'torch', 'scipy', 'soundfile', 'av', 'soxr'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
