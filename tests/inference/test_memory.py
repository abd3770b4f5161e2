import threading
from types import SimpleNamespace

import psutil
import pytest
from fakes import Calm

from sepbench.errors import MethodError
from sepbench.inference import memory


class Whole(Calm):
    name = "whole"
    context = None
    memory_per_second = 1e6


class InBlocks(Whole):
    context = 1.0


class Unknown(Whole):
    memory_per_second = None


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2e9))


def test_a_song_that_cannot_fit_is_refused_with_what_it_needs() -> None:
    memory.require(Whole(), "whole", 1900, 44100, 2)
    said = "3.0 hours need about 10.8 GB, 2.0 GB are free; give --duration"
    with pytest.raises(MethodError, match=said):
        memory.require(Whole(), "whole", 10_800, 44100, 2)


def test_one_channel_needs_half() -> None:
    assert memory.needed(Whole(), 60, 44100, 1) == memory.needed(Whole(), 60, 44100, 2) / 2


def test_blocks_of_any_song_fit() -> None:
    memory.require(InBlocks(), "blocks", 1e9, 44100, 2)


def test_what_declares_nothing_holds_at_least_mixture_and_stems() -> None:
    samples = 2 * 10_800 * 44100 * 4
    assert memory.needed(Unknown(), 10_800, 44100, 2) >= samples * (1 + len(Unknown().stems))


def test_a_stream_of_unknown_length_is_begun() -> None:
    memory.require(Whole(), "whole", float("inf"), 44100, 2)


@pytest.mark.parametrize(("seconds", "together"), [(600, 3), (900, 2), (1500, 1), (1e9, 0)])
def test_songs_at_the_same_time_need_the_sum(seconds: float, together: int) -> None:
    most = now = refused = 0
    changing = threading.Lock()
    all_began = threading.Event()

    def separate() -> None:
        nonlocal most, now, refused
        try:
            with memory.reserved(Whole(), "whole", seconds, 44100, 2):
                with changing:
                    now += 1
                    most = max(most, now)
                    if most == together:
                        all_began.set()
                all_began.wait(10)
                with changing:
                    now -= 1
        except MethodError:
            with changing:
                refused += 1

    songs = [threading.Thread(target=separate) for _ in range(6)]
    for song in songs:
        song.start()
    for song in songs:
        song.join(30)
    assert (most, now, refused) == (together, 0, 0 if together else 6)
