"""Separates one song in memory, for Python programs and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from sepbench import audio, registry
from sepbench._util.arguments import names, shown
from sepbench.audio.decode import HIGHEST_RATE, LOWEST_RATE
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.inference.overlap_add import Samples
from sepbench.stems import with_sums

_MOST_CHANNELS = 64


def separate(
    song: str | Path | ArrayLike,
    *,
    rate: int | None = None,
    method: str = "unet",
    stems: str | Iterable[str] = (),
    device: str = "auto",
) -> dict[str, Samples]:
    """Return the stems of a song, with the length, channels, level and rate of the song.

    Args:
        song: the path of an audio file, or samples ``(channels, samples)`` or ``(samples,)`` with
            full scale 1.
        rate: Hz; required for samples, taken from the file otherwise.
        method: a separator, optionally with options in brackets: ``"hpss[margin=2]"``.
        stems: only these, or this one, which may be sums such as ``accompaniment``; all of the
            method's if empty.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        SepbenchError: for an unknown method or stem, a file that cannot be read, and samples that
            are not audio.

    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 440 / 8000 * np.arange(8000))
    >>> made = separate(tone, rate=8000, method="hpss")
    >>> {name: stem.shape for name, stem in made.items()}
    {'harmonic': (1, 8000), 'percussive': (1, 8000), 'residual': (1, 8000)}
    >>> bool(np.abs(sum(made.values()) - tone).max() < 1e-6)
    True
    """
    variant = _one_method(method)
    is_any = stems is None or (isinstance(stems, str) and not stems)
    wanted = [] if is_any else names(stems, "stems")
    if isinstance(song, (str, Path)):
        if rate is not None:
            raise SepbenchError(f"{song}: leave out rate; a file has its own")
        read = audio.read(Path(song))
        samples, rate = read.samples, read.rate
    else:
        samples, rate = as_samples(song, "song"), checked_rate(rate)
    chosen = runner.choose_device(device)
    separator = variant.create()
    runner.load(separator, chosen)
    made = runner.separate(separator, samples, rate=rate, device=chosen).stems
    if wanted:
        made = _chosen(made, wanted, variant.label)
    return _apart(made)


def _one_method(method: str) -> registry.Method:
    if not isinstance(method, str):
        raise SepbenchError(f"method {shown(method)}: name one separator, as in method='unet'")
    (variant, *others) = registry.resolve(method)
    if others:
        raise SepbenchError(f"method {method}: means {1 + len(others)} methods; name one")
    return variant


def _chosen(made: dict[str, Samples], wanted: Sequence[str], label: str) -> dict[str, Samples]:
    """Return the wanted stems, sums of others included; raise if the method has no such stem."""
    possible = with_sums(made)
    for stem in wanted:
        if stem not in possible:
            raise SepbenchError(
                f"method {label} has no stem {stem!r}; it has {', '.join(possible)}"
            )
    return {stem: possible[stem] for stem in wanted}


def _apart(stems: dict[str, Samples]) -> dict[str, Samples]:
    """Copy stems whose channels share memory, or share it with another stem.

    A separator may return one tensor as several stems; who writes to one must not change another.
    """
    apart: dict[str, Samples] = {}
    for name, stem in stems.items():
        shared = any(np.may_share_memory(stem, other) for other in apart.values())
        apart[name] = stem.copy() if shared else np.ascontiguousarray(stem)
    return apart


def as_samples(array: ArrayLike, what: str) -> Samples:
    """Return an array as float32 ``(channels, samples)``.

    Raises `SepbenchError` that says ``what`` it is for an array that is not audio.
    """
    try:
        samples = np.atleast_2d(np.asarray(array))
    except ValueError:
        raise SepbenchError(f"{what}: rows of unequal length; give (channels, samples)") from None
    except (TypeError, RuntimeError) as error:  # a tensor on a GPU, or one that has a gradient
        raise SepbenchError(f"{what}: not an array: {' '.join(str(error).split())}") from None
    if samples.dtype.kind != "f":
        raise SepbenchError(
            f"{what}: samples of type {samples.dtype}; give floats with full scale 1, "
            "for 16-bit samples: x / 32768"
        )
    if samples.ndim != 2 or samples.size == 0 or samples.shape[0] > _MOST_CHANNELS:
        raise SepbenchError(f"{what}: shape {samples.shape}; give (channels, samples)")
    if not np.isfinite(samples).all():
        raise SepbenchError(f"{what}: it contains NaN or infinity; remove them first")
    return np.ascontiguousarray(samples, dtype=np.float32)


def checked_rate(rate: int | None) -> int:
    """Return a sample rate in Hz; raise `SepbenchError` for a missing or invalid one."""
    if rate is None:
        raise SepbenchError("arrays have no sample rate; give rate=44100 or the actual one")
    try:
        whole = int(rate)
    except (TypeError, ValueError, OverflowError):
        whole = 0
    if not LOWEST_RATE <= whole <= HIGHEST_RATE or whole != rate:  # As of a file.
        raise SepbenchError(
            f"rate={rate}: must be a whole number of Hz from {LOWEST_RATE} to {HIGHEST_RATE}"
        )
    return whole
