"""Servers that lie, drip, break off or never end."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sepbench._util import download
from sepbench.errors import SepbenchError

from .trying import Tally, times

pytestmark = pytest.mark.drill

CONTENT = bytes(range(256)) * 64


@contextmanager
def answering(answers: list[list[bytes]], pause: float) -> Iterator[str]:
    """Serve raw bytes, an answer for each connection, the last for all that follow."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        number = 0
        while not ended.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(1)
                    connection.recv(65536)
                    for piece in answers[min(number, len(answers) - 1)]:
                        connection.sendall(piece)
                        time.sleep(pause)
                number += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/w.safetensors"
    finally:
        ended.set()
        listener.close()


LENGTHS = [
    "abc",
    "-1",
    "",
    " 16384",
    "16384",
    "99999999999999999999",
    "1e3",
    "0",
    "16384, 5",
    "٣",
    "100",
]
STATUSES = [
    "200 OK",
    "206 Partial Content",
    "416 Range",
    "500 Oops",
    "302 Found",
    "204 None",
    "x",
    "",
]
EXTRAS = [
    "Location: file:///etc/passwd",
    "Location: http://127.0.0.1:1/",
    "Location: ../../../../x",
    "Content-Encoding: gzip",
    "Content-Range: bytes 0-1/999999",
    "Transfer-Encoding: chunked",
    "X: \x1b[2J",
    "X" * 70000 + ": y",
    "no colon",
]


def answer(draw: random.Random) -> list[bytes]:
    lines = [f"HTTP/1.1 {draw.choice(STATUSES[:1] * 6 + STATUSES)}"]
    if draw.random() < 0.8:
        lines.append(f"Content-Length: {draw.choice(LENGTHS)}")
    lines += draw.sample(EXTRAS, draw.choice([0, 0, 1, 2]))
    head = "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n"
    body = CONTENT[: draw.choice([0, 1, 100, 8000, 16384, 16384])]
    if draw.random() < 0.2:
        body += draw.randbytes(5000)
    if "Transfer-Encoding: chunked" in lines and draw.random() < 0.7:
        body = draw.choice([b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), b"zz\r\nabc", b"-5\r\n"])
    return [head[: draw.choice([5, len(head), len(head), len(head)])], body]


def test_servers_that_lie(
    tally: Tally, draw: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes is the file that was meant, or a refusal in one line and no file."""
    monkeypatch.setattr(download, "_SECONDS", 2)
    digest = hashlib.sha256(CONTENT).hexdigest()
    for number in times(300):
        place = tmp_path / str(number) / "w.safetensors"
        fault = None
        with answering([answer(draw), answer(draw)], draw.choice([0, 0, 0.01])) as url:
            for _ in range(2):
                try:
                    download.fetch(url, place, sha256=digest)
                except SepbenchError as error:
                    if "\n" in str(error):
                        fault = f"{number}: several lines: {error!r}"
                except Exception as error:
                    fault = f"{number}: {type(error).__name__}: {error}"
        if place.exists() and place.read_bytes() != CONTENT:
            fault = f"{number}: another file"
        others = {path.name for path in place.parent.iterdir()} if place.parent.exists() else set()
        if others - {"w.safetensors", "w.safetensors.part"}:
            fault = f"{number}: left {others}"
        tally.note(fault)


def test_servers_that_drip(
    tally: Tally, draw: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends a byte now and then is left within the limit."""
    monkeypatch.setattr(download, "_PATIENCE", 0.3)
    for number in times(20):
        length = draw.choice([b"Content-Length: 16384\r\n", b""])
        head = b"HTTP/1.1 200 OK\r\n" + length + b"\r\n"
        pieces = [head, *(bytes([byte]) for byte in CONTENT[:400])]
        began = time.monotonic()
        with answering([pieces], 0.02) as url:
            try:
                download.fetch(url, tmp_path / str(number) / "w.safetensors")
                fault = f"{number}: took it"
            except SepbenchError as error:
                fault = None if "slow" in str(error) else f"{number}: {error}"
        if time.monotonic() - began > 5:
            fault = f"{number}: {time.monotonic() - began:.0f} s"
        tally.note(fault)
