"""Facts about what a separator does to the process and the memory it runs in."""

from __future__ import annotations

import gc
import io
from contextlib import redirect_stderr, redirect_stdout

import psutil
import torch

from sepbench.testing.fact import Fault, fact
from sepbench.testing.sounds import decibels
from sepbench.testing.subject import Subject
from sepbench.testing.traces import guarded_generators

MOST_MEMORY = 4.0
"""GiB that a song of at most a minute may take, itself apart."""

KEPT = 64
"""MiB that a process may grow by over some songs of a second once it is warm."""

_SAME_ON_CUDA = -80.0
"""dB: sums on CUDA come in any order."""


@fact(mend="switch networks to eval(), and draw random numbers from a generator of your own")
def deterministic(subject: Subject) -> str:
    """The same song gives the same stems."""
    sound, made = subject.first
    return _same(subject, made, subject.hear(sound))


@fact(mend="keep nothing of a song in self; what is learned on the fly starts anew with each song")
def forgets(subject: Subject) -> str:
    """Other songs in between change nothing."""
    sound, made = subject.first
    subject.hear(subject.song(1.7, seed=1))
    subject.hear(subject.song(0.4, seed=2))
    return _same(subject, made, subject.hear(sound))


@fact(mend="draw first weights and random numbers from a generator with a seed of its own")
def reloads(subject: Subject) -> str:
    """Loading it anew gives the same stems."""
    sound, made = subject.first
    return _same(subject, made, subject.hear(sound, subject.fresh()))


@fact(mend="use torch.Generator().manual_seed(...) or numpy.random.default_rng(...) of your own")
def random_state(subject: Subject) -> str:
    """Global random generators are neither used nor seeded."""
    with guarded_generators() as used:
        subject.hear(subject.song(1.0), subject.fresh())
    if used:
        raise Fault(f"used: {', '.join(used)}")
    return "untouched"


@fact(mend="change them nowhere, or put them back before separate returns")
def process_state(subject: Subject) -> str:
    """Threads, default dtype, gradients, environment and the like are left alone."""
    _ = subject.first
    if subject.traces:
        raise Fault("; ".join(subject.traces))
    return "unchanged"


@fact(mend="work on mixture.clone(), or not in place")
def input_kept(subject: Subject) -> str:
    """It writes nothing into the mixture."""
    sound = subject.song(1.0).to(subject.device)
    mixture = sound.mixture.clone()
    subject.call(subject.separator, mixture, sound)
    if not torch.equal(mixture, sound.mixture):
        raise Fault("the mixture has changed")
    return "unchanged"


@fact(mend="remove print; sepbench says what there is to say")
def quiet(subject: Subject) -> str:
    """It prints nothing."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        subject.hear(subject.song(1.0))
    said = (out.getvalue() + err.getvalue()).strip()
    if said:
        raise Fault(repr(said.splitlines()[0][:60]))
    return "nothing"


@fact(mend="declare a context so that the host gives blocks, or work on part after part")
def memory(subject: Subject) -> str:
    """A long song takes less than 4 GiB."""
    sound = subject.song(subject.seconds, channels=2)
    cost = subject.measured(sound)
    for name, stem in cost.stems.items():
        if stem.shape != sound.mixture.shape:
            raise Fault(f"{name} is {stem.shape}, the mixture {tuple(sound.mixture.shape)}")
    speed = subject.seconds / max(cost.seconds, 1e-9)
    got = f"{cost.peak_bytes / 2**30:.2f} GiB for {subject.seconds:g} s, {speed:.3g} x real time"
    if cost.peak_bytes > MOST_MEMORY * 2**30:
        raise Fault(got)
    return got


@fact(mend="keep no tensors in self or in caches without a limit")
def leaks(subject: Subject) -> str:
    """Memory does not grow by more than 64 MiB over songs."""
    process = psutil.Process()

    def taken() -> float:
        return process.memory_info().rss / 2**20

    for seed in range(2):
        subject.hear(subject.song(1.0, seed=seed))
    before = taken()
    for seed in range(2, 8):
        subject.hear(subject.song(1.0, seed=seed))
    if taken() - before > KEPT:
        gc.collect()  # What waits for the collector is not kept.
    grown = taken() - before
    if grown > KEPT:
        raise Fault(f"{grown:.0f} MiB over 6 songs of a second")
    return f"{max(grown, 0):.0f} MiB over 6 songs of a second"


def _same(subject: Subject, once: dict[str, torch.Tensor], again: dict[str, torch.Tensor]) -> str:
    for name, stem in once.items():
        error = decibels(again[name] - stem, stem)
        exact = torch.equal(again[name], stem)
        if not exact and (subject.device.type == "cpu" or error > _SAME_ON_CUDA):
            raise Fault(f"{name} differs by {error:.0f} dB")
    return "to the bit" if subject.device.type == "cpu" else "as far as CUDA can tell"


FACTS = (
    deterministic, forgets, reloads, random_state, process_state, input_kept, quiet, memory, leaks,
)  # fmt: skip
