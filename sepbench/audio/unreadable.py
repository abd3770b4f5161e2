"""Says why a file cannot be read as audio."""

from __future__ import annotations

from pathlib import Path

_MAGIC = {
    b"RIFF": "wav",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"ID3": "mp3",
    b"\x1aE\xdf\xa3": "mkv or webm",
    b"FORM": "aiff",
    b"caff": "caf",
}


def unreadable(path: Path) -> str:
    """Return why no decoder can open a file, with a fitting cure."""
    with path.open("rb") as file:
        head = file.read(1 << 12)
    name = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if head[4:8] == b"ftyp":
        name = "m4a or mp4"
    if not any(head):
        return "not readable audio: it begins with zeros; get it again"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not audio; download the file itself"
    if name is not None:
        return f"not readable audio: its {name} data is damaged or incomplete; get it again"
    return "not readable audio; convert it to wav or flac"
