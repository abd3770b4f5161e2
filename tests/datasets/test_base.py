from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepbench.datasets.base import assemble, disjoint
from sepbench.errors import SepbenchError
from sepbench.stems import STEMS, SUMS, with_sums

from .layouts import song


def test_references_hold_the_sums_and_the_mixture_is_apart() -> None:
    parts = song()
    mixture = parts.pop("mixture")
    audio = assemble("a song", mixture, parts, 44100)
    assert audio.mixture is mixture
    assert set(audio.references) == {*parts, "accompaniment", "harmonic", "percussive"}
    backing = audio.references["accompaniment"]
    assert np.array_equal(backing, mixture - parts["vocals"])
    assert audio.notes == ()


def test_stems_a_frame_short_are_filled_with_silence_and_noted() -> None:
    parts = song()
    parts["bass"] = parts["bass"][:, :-1024]
    audio = assemble("a song", parts.pop("mixture"), parts, 44100)
    assert {part.shape for part in audio.references.values()} == {audio.mixture.shape}
    assert not audio.references["bass"][:, -1024:].any()
    assert audio.notes == ("bass: 1024 samples of silence added at the end",)


def test_stems_more_than_a_frame_apart_are_an_error_with_their_lengths() -> None:
    parts = song()
    parts["bass"] = parts["bass"][:, :-1025]
    message = r"^track a song: lengths differ: mixture 11025, .*bass 10000.* samples; make them"
    with pytest.raises(SepbenchError, match=message):
        assemble("a song", parts.pop("mixture"), parts, 44100)


def test_channels_that_differ_are_an_error() -> None:
    parts = song()
    parts["vocals"] = parts["vocals"][:1]
    with pytest.raises(SepbenchError, match=r"^track a song: channels differ: .*vocals 1; make"):
        assemble("a song", parts.pop("mixture"), parts, 44100)


def test_without_a_mixture_it_is_the_sum_of_the_stems() -> None:
    parts = song()
    mixture = parts.pop("mixture")
    audio = assemble("a song", None, {**parts, "accompaniment": mixture - parts["vocals"]}, 44100)
    assert np.array_equal(audio.mixture, mixture)
    assert audio.notes == ()


@given(st.sets(st.sampled_from([name for name in STEMS if name != "residual"]), min_size=1))
def test_disjoint_stems_count_nothing_twice_and_leave_nothing_out(names: set[str]) -> None:
    chosen = disjoint(tuple(sorted(names)))
    terms = [term for name in chosen for term in SUMS.get(name, (name,))]
    assert len(terms) == len(set(terms))
    everything = {term for name in names for term in SUMS.get(name, (name,))}
    assert set(terms) == everything
    assert set(chosen) <= set(with_sums(dict.fromkeys(names, 0)))
