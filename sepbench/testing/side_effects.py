"""Checks of a separator's side effects on process and memory."""

from __future__ import annotations

import gc

import psutil
import torch

from sepbench._util.allocator import trim_memory
from sepbench.testing.check import CheckFailed, check
from sepbench.testing.signals import decibels
from sepbench.testing.subject import Subject

MOST_MEMORY = 4.0
"""Largest memory in GiB for a song of up to a minute, without the song."""

KEPT = 64
"""Largest growth in MiB over some songs of a second after a warm-up."""

_SONGS = 4

_SAME_ON_CUDA = -80.0
"""In dB: sums on CUDA have no fixed order."""


@check(fix="switch networks to eval(), and draw random numbers from a generator of your own")
def deterministic(subject: Subject) -> str:
    """The same song gives the same stems."""
    sound, made = subject.first
    return _same(subject, made, subject.separate(sound))


@check(fix="keep nothing of a song in self; start every adaptation from scratch")
def forgets(subject: Subject) -> str:
    """Other songs in between do not change the result."""
    sound, made = subject.first
    subject.separate(subject.song(0.7, seed=1))
    return _same(subject, made, subject.separate(sound))


@check(fix="draw initial weights and random numbers from a seeded generator of your own")
def reloads(subject: Subject) -> str:
    """Loading it again gives the same stems."""
    return _same(subject, subject.first[1], subject.reloaded[0])


@check(fix="use torch.Generator().manual_seed(...) or numpy.random.default_rng(...) of your own")
def random_state(subject: Subject) -> str:
    """Global random generators are neither used nor seeded."""
    _, used = subject.reloaded
    if used:
        raise CheckFailed(f"used: {', '.join(used)}")
    return "untouched"


@check(fix="do not change them, or restore them before separate returns")
def process_state(subject: Subject) -> str:
    """Threads, default dtype, gradients, environment and the like are not changed."""
    _ = subject.first
    if subject.changed_settings:
        raise CheckFailed("; ".join(subject.changed_settings))
    return "unchanged"


@check(fix="work on mixture.clone(), or not in place")
def input_kept(subject: Subject) -> str:
    """It does not modify the mixture."""
    if not subject.second.is_mixture_kept:
        raise CheckFailed("the mixture has changed")
    return "unchanged"


@check(fix="remove print, catch the output of programs; use self.note for messages")
def quiet(subject: Subject) -> str:
    """It prints nothing."""
    lines = subject.second.printed
    if lines:
        raise CheckFailed(repr(lines[0][:60]))
    return "nothing"


@check(fix="declare a context to get blocks, or process the song in parts")
def memory(subject: Subject) -> str:
    """A long song takes less than 4 GiB."""
    sound, cost = subject.long
    for name, stem in cost.stems.items():
        if stem.shape != sound.mixture.shape:
            raise CheckFailed(f"{name} is {stem.shape}, the mixture {tuple(sound.mixture.shape)}")
    speed = subject.seconds / max(cost.seconds, 1e-9)
    got = f"{cost.peak_bytes / 2**30:.2f} GiB for {subject.seconds:g} s, {speed:.3g} x real time"
    if cost.peak_bytes > MOST_MEMORY * 2**30:
        raise CheckFailed(got)
    return got


@check(fix="keep no tensors in self or in caches without a limit")
def leaks(subject: Subject) -> str:
    """Memory does not grow by more than 64 MiB over songs."""
    process = psutil.Process()

    def taken() -> float:
        gc.collect()  # Exclude uncollected garbage and free memory of the C library.
        trim_memory()
        return process.memory_info().rss / 2**20

    subject.separate(subject.song(seed=0))
    before = taken()
    for seed in range(1, 1 + _SONGS):
        subject.separate(subject.song(seed=seed))
    grown = taken() - before
    got = f"{max(grown, 0):.0f} MiB over {_SONGS} songs of a second"
    if grown > KEPT:
        raise CheckFailed(got)
    return got


def _same(subject: Subject, once: dict[str, torch.Tensor], again: dict[str, torch.Tensor]) -> str:
    for name, stem in once.items():
        error = decibels(again[name] - stem, stem)
        exact = torch.equal(again[name], stem)
        if not exact and (subject.device.type == "cpu" or error > _SAME_ON_CUDA):
            raise CheckFailed(f"{name} differs by {error:.0f} dB")
    return "to the bit" if subject.device.type == "cpu" else "within CUDA's accuracy"


CHECKS = (
    deterministic, forgets, reloads, random_state, process_state, input_kept, quiet, memory, leaks,
)  # fmt: skip
