from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from serving import Serving, serving

from sepbench._util import download
from sepbench._util.download import fetch
from sepbench.errors import SepbenchError

CONTENT = np.random.default_rng(0).bytes(1 << 20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Serving]:
    with serving() as state:
        state.files["file"] = CONTENT
        yield state


@pytest.mark.parametrize("digits", [0, 8, 64])
def test_a_file_comes_whole_with_its_hash(server: Serving, tmp_path: Path, digits: int) -> None:
    place = tmp_path / "new" / "file"
    told: list[tuple[int, int | None]] = []
    found = fetch(
        f"{server.address}/file",
        place,
        sha256=SHA256[:digits],
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert found == SHA256
    assert place.read_bytes() == CONTENT
    assert list(place.parent.iterdir()) == [place]
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_an_interrupted_download_resumes(server: Serving, tmp_path: Path) -> None:
    place = tmp_path / "file"
    server.breaks_after = 700_000
    with pytest.raises(SepbenchError, match="interrupted after 700000 of 1048576 bytes"):
        fetch(f"{server.address}/file", place, sha256=SHA256)
    assert not place.exists()
    server.breaks_after = None
    assert fetch(f"{server.address}/file", place, sha256=SHA256) == SHA256
    assert server.asked[-1] == ("/file", "bytes=700000-")
    assert place.read_bytes() == CONTENT


def test_a_server_that_cannot_resume_starts_again(server: Serving, tmp_path: Path) -> None:
    server.breaks_after, server.knows_ranges = 700_000, False
    with pytest.raises(SepbenchError, match="interrupted"):
        fetch(f"{server.address}/file", tmp_path / "file")
    server.breaks_after = None
    assert fetch(f"{server.address}/file", tmp_path / "file") == SHA256


def test_a_file_that_had_all_come_is_only_checked(server: Serving, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert fetch(f"{server.address}/file", tmp_path / "file", sha256=SHA256) == SHA256


def test_another_file_than_was_meant_is_thrown_away(server: Serving, tmp_path: Path) -> None:
    server.files["file"] = CONTENT[::-1]
    with pytest.raises(SepbenchError, match=f"its sha256 is .*, not {SHA256}"):
        fetch(f"{server.address}/file", tmp_path / "file", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_reached_is_one_line(server: Serving, tmp_path: Path) -> None:
    for address, message in {
        f"{server.address}/none": "download failed: .*Not Found",
        "http://127.0.0.1:1/file": "download failed: .*refused",
        (tmp_path / "none").as_uri(): "download failed",
        "/etc/passwd": "not a web address",
    }.items():
        with pytest.raises(SepbenchError, match=message) as caught:
            fetch(address, tmp_path / "file")
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_two_that_fetch_one_file_at_once_both_have_it(server: Serving, tmp_path: Path) -> None:
    server.meets = threading.Barrier(2)
    place = tmp_path / "file"

    def one(_: int) -> str:
        return fetch(f"{server.address}/file", place, sha256=SHA256)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(one, range(2))) == [SHA256, SHA256]
    assert place.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [place]


def test_what_another_fetches_is_not_spoilt_by_one_that_breaks_off(
    server: Serving, tmp_path: Path
) -> None:
    part = tmp_path / "file.part"
    with part.open("ab") as other:
        fcntl = pytest.importorskip("fcntl")
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(CONTENT[:1000])
        other.flush()
        server.breaks_after = 10
        with pytest.raises(SepbenchError, match="interrupted"):
            fetch(f"{server.address}/file", tmp_path / "file", sha256=SHA256)
        assert list(tmp_path.iterdir()) == [part]
        assert part.read_bytes() == CONTENT[:1000]
    server.breaks_after = None
    assert fetch(f"{server.address}/file", tmp_path / "file", sha256=SHA256) == SHA256
    assert server.asked[-1] == ("/file", "bytes=1000-")


@pytest.mark.parametrize(
    "url",
    [
        *("http://[::1", "http://x.org/a b", "http://x.org/\x1b[31m", "ftp://x.org/a", "", "/etc"),
        *("http://", "https:///a", "http://..", "http://127.0.0.1:abc/", "http://127.0.0.1:99999/"),
    ],
)
def test_what_is_no_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="not a web address"):
        fetch(url, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_link_in_place_of_the_part_is_not_written_through(
    server: Serving, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / "file.part").symlink_to(other)
    fetch(f"{server.address}/file", tmp_path / "file", sha256=SHA256)
    assert other.read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == CONTENT


@contextmanager
def raw(head: bytes, body: bytes, pause: float = 0.0) -> Iterator[str]:
    """Answer every request with these very bytes, the body one by one where there is a pause."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(head)
                        for piece in [body] if not pause else [bytes([byte]) for byte in body]:
                            connection.sendall(piece)
                            time.sleep(pause)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/file"


@pytest.mark.parametrize("length", ["abc", "-1", "", "1e3", "9" * 30])
def test_a_length_that_is_no_number_is_none(length: str, tmp_path: Path) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    place = tmp_path / "file"
    with raw(head, b"weights") as url:
        fetch(url, place, sha256=hashlib.sha256(b"weights").hexdigest())
    assert place.read_bytes() == b"weights"


def test_more_bytes_than_a_server_names_are_refused(tmp_path: Path) -> None:
    """A server that resumes elsewhere than it was asked to sends too much."""
    place = tmp_path / "file"
    place.with_name("file.part").write_bytes(b"wei")
    head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 7\r\n\r\n"
    digest = hashlib.sha256(b"weights").hexdigest()
    with (
        raw(head, b"weightsXYZ") as url,
        pytest.raises(SepbenchError, match="not the expected file"),
    ):
        fetch(url, place, sha256=digest)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", ["_PATIENCE", "_LONGEST"])
def test_a_server_that_drips_is_left(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, limit, 0.2)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    began = time.monotonic()
    with raw(head, bytes(1000), pause=0.02) as url, pytest.raises(SepbenchError, match="to resume"):
        fetch(url, tmp_path / "file")
    assert time.monotonic() - began < 10
    assert not (tmp_path / "file").exists()


def test_what_a_server_says_is_shown_in_one_line(tmp_path: Path) -> None:
    with raw(b"HTTP/1.1 \x1b[31mred\r\n\r\n", b"") as url, pytest.raises(SepbenchError) as refused:
        fetch(url, tmp_path / "file")
    assert "\x1b" not in str(refused.value)
    assert "\n" not in str(refused.value)
