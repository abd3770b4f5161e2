from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from serving import Serving, serving

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


def test_what_broke_off_goes_on_where_it_was(server: Serving, tmp_path: Path) -> None:
    place = tmp_path / "file"
    server.breaks_after = 700_000
    with pytest.raises(SepbenchError, match="broke off after 700000 of 1048576 bytes"):
        fetch(f"{server.address}/file", place, sha256=SHA256)
    assert not place.exists()
    server.breaks_after = None
    assert fetch(f"{server.address}/file", place, sha256=SHA256) == SHA256
    assert server.asked[-1] == ("/file", "bytes=700000-")
    assert place.read_bytes() == CONTENT


def test_a_server_that_cannot_go_on_begins_anew(server: Serving, tmp_path: Path) -> None:
    server.breaks_after, server.knows_ranges = 700_000, False
    with pytest.raises(SepbenchError, match="broke off"):
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
        f"{server.address}/none": "cannot be fetched: .*Not Found",
        "http://127.0.0.1:1/file": "cannot be fetched: .*refused",
        (tmp_path / "none").as_uri(): "cannot be fetched",
        "/etc/passwd": "not an address of the web",
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
        with pytest.raises(SepbenchError, match="broke off"):
            fetch(f"{server.address}/file", tmp_path / "file", sha256=SHA256)
        assert list(tmp_path.iterdir()) == [part]
        assert part.read_bytes() == CONTENT[:1000]
    server.breaks_after = None
    assert fetch(f"{server.address}/file", tmp_path / "file", sha256=SHA256) == SHA256
    assert server.asked[-1] == ("/file", "bytes=1000-")


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://x.org/a b", "http://x.org/\x1b[31m", "ftp://x.org/a", "", "/etc"]
)
def test_what_is_no_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="not an address"):
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
