"""Checks of stems, for all kinds of input."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from sepbench import options as opts
from sepbench.separator import in_samples, without_remainder
from sepbench.stems import is_stem_name
from sepbench.testing.check import CheckFailed, NotApplicable, Note, check
from sepbench.testing.signals import Sound, decibels, silence
from sepbench.testing.subject import Subject
from sepbench.weights import files

LENGTHS = (1, 255, 4097, 44_101)
"""Lengths of the test songs in samples."""

RATES = (8000, 48_000)
"""Rates of the test songs in Hz."""

SEAM = -60.0
"""Largest error in dB of blocks against the whole song, over any tenth of a second."""

_SILENT = 1e-3
_ROUNDING = 1e-5

Stems = Mapping[str, torch.Tensor]


@check(fix="see the reason; --debug shows where", required=True)
def separates(subject: Subject) -> str:
    """It loads and separates a song."""
    start = time.perf_counter()
    sound, _ = subject.first
    seconds = sound.mixture.shape[1] / sound.rate
    return f"{seconds:g} s at {sound.rate} Hz in {time.perf_counter() - start:.2f} s"


@check(fix="return exactly the declared stems, without the remainder", required=True)
def returned_stems(subject: Subject) -> str:
    """separate returns a dict of all stems but the remainder."""
    _, made = subject.first
    separator = subject.separator
    wanted = without_remainder(separator)
    if separator.needs_references:
        if not made or not all(map(is_stem_name, made)):
            raise CheckFailed(", ".join(made) or "nothing")
    elif set(made) != set(wanted):
        raise CheckFailed(f"{', '.join(made) or 'nothing'}, where {', '.join(wanted)} are declared")
    return ", ".join(made)


@check(
    fix="return (channels, samples), cut or padded to the input's length",
    required=True,
)
def shapes(subject: Subject) -> str:
    """Each stem has the shape of the mixture."""
    sound, made = subject.first
    _like(sound, made)
    return f"{tuple(sound.mixture.shape)}"


@check(fix="return stem.float()")
def dtype(subject: Subject) -> str:
    """Each stem is float32."""
    _, made = subject.first
    for name, stem in made.items():
        if stem.dtype != torch.float32:
            raise CheckFailed(f"{str(stem.dtype).removeprefix('torch.')} in {name}")
    return "float32"


@check(fix="make new tensors with device=mixture.device")
def device(subject: Subject) -> str:
    """Each stem is on the mixture's device."""
    _, made = subject.first
    for name, stem in made.items():
        if stem.device != subject.device:
            raise CheckFailed(f"{name} is on {stem.device}, the mixture on {subject.device}")
    return str(subject.device)


@check(fix="look for 0 / 0 and log(0); add a floor to divisors", required=True)
def finite(subject: Subject) -> str:
    """No NaN and no infinity."""
    _finite(subject.first[1])
    return "all finite"


@check(fix="look for a gain or a mask that is zero")
def audible(subject: Subject) -> str:
    """The stems of a song are not silent."""
    sound, made = subject.first
    levels = {name: decibels(stem.cpu(), sound.mixture) for name, stem in made.items()}
    shown = ", ".join(f"{name} {level:.0f} dB" for name, level in levels.items())
    if max(levels.values()) < -80:
        raise CheckFailed(f"relative to the mixture: {shown}")
    return f"relative to the mixture: {shown}"


@check(fix="pad a song shorter than a frame, and cut the result")
def lengths(subject: Subject) -> str:
    """Stems have the length of the song, even for one sample."""
    for samples in LENGTHS:
        sound = subject.song(samples=samples)
        with _named(f"{samples} samples"):
            made = subject.separate(sound)
            _like(sound, made)
            _finite(made)
    return f"{', '.join(map(str, LENGTHS))} samples"


@check(fix="declare channels=1 for one at a time, 2 for stereo, None if it takes any number")
def channels(subject: Subject) -> str:
    """Stems have the channels of the song: one, two or three."""
    for count in (1, 3):
        sound = subject.song(channels=count)
        with _named(f"{count} channels"):
            _like(sound, subject.through_runner(sound))
    fed = {None: "any, together", 1: "one by one", 2: "stereo"}[subject.separator.channels]
    return f"fed {fed}"


@check(fix="declare sample_rate and the runner resamples, or choose windows by seconds")
def rates(subject: Subject) -> str:
    """Stems have the length of the song at other rates too."""
    for rate in RATES:
        sound = subject.song(rate=rate, channels=2)
        with _named(f"{rate} Hz"):
            _like(sound, subject.through_runner(sound))
    return f"{', '.join(map(str, RATES))} Hz"


@check(fix="add a floor to divisors; do not normalise a silent song")
def silent_song(subject: Subject) -> str:
    """Silence gives finite stems below -60 dBFS; a silent channel does no harm."""
    count = subject.separator.channels or 2
    nothing = silence(samples=subject.rate, rate=subject.rate, channels=count)
    made = subject.separate(nothing)
    _finite(made)
    loudest = max(float(stem.abs().max()) for stem in made.values())
    if loudest > _SILENT:
        raise CheckFailed(f"a peak of {20 * torch.tensor(loudest).log10():.0f} dBFS")
    half = subject.song(channels=2)
    for stem in half.stems.values():
        stem[0] = 0
    _finite(subject.through_runner(half))
    return f"peak {loudest:.1g}"


@check(fix="normalise by the song's level")
def gain(subject: Subject) -> str:
    """A song at a tenth of the level gives stems at a tenth of the level."""
    sound, made = subject.first
    quiet = subject.separate(sound.times(0.1))
    _finite(quiet)
    error = max(decibels(10 * quiet[name] - made[name], made[name]) for name in made)
    if error > -40:
        raise Note(f"they differ by {error:.0f} dB: the result depends on the loudness of the song")
    return f"they differ by {error:.0f} dB"


@check(fix="raise context to all that a sample depends on; use hops that divide BLOCK_ALIGNMENT")
def blocks_alike(subject: Subject) -> str:
    """Blocks differ from the whole song by less than -60 dB everywhere."""
    separator = subject.separator
    context = separator.context
    if context is None:
        raise NotApplicable("it gets the whole song at once")
    seconds = in_samples(context, subject.rate) / subject.rate
    step = max(seconds / 2, 2.0)
    length = 2 * step + seconds + 1.0
    if length > subject.seconds:
        raise NotApplicable(
            f"needs a song of {length:.0f} s; at most {subject.seconds:g} s are allowed"
        )
    sound = subject.song(length)
    cut = subject.through_runner(sound, block_seconds=step)
    whole = subject.through_runner(sound, block_seconds=2 * length)
    worst = max(_worst(cut[name] - whole[name], sound) for name in whole)
    if worst > SEAM:
        raise CheckFailed(f"{worst:.0f} dB with blocks of {step:g} s and context {seconds:g} s")
    return f"{worst:.0f} dB with blocks of {step:g} s"


@check(fix="leave the remainder out of what separate returns")
def sums(subject: Subject) -> str:
    """The stems sum to the mixture where a remainder is declared."""
    separator = subject.separator
    if separator.remainder is None:
        raise NotApplicable("it declares no remainder")
    sound, made = subject.long
    error = float(abs(sum(made.stems.values()) - sound.mixture.numpy()).max())
    if error > _ROUNDING:
        raise CheckFailed(f"they differ by up to {error:.2g}")
    return f"they differ by up to {error:.1g}"


@check(fix="try each on a song of a second; raise SepbenchError for invalid combinations")
def choices(subject: Subject) -> str:
    """It separates with every choice of its options whose weights are installed."""
    tried = []
    for described in opts.describe(subject.kind.Options):
        offered = (True, False) if described["type"] == "bool" else described["choices"] or ()
        for value in offered:
            shown = f"{described['name']}={value}"
            if value == described["default"]:
                continue
            with _named(shown):
                change = {described["name"]: value}
                if files.missing(subject.with_options(**change)) is not None:
                    continue
                sound = subject.song()
                made = subject.through_runner(sound, subject.fresh_with(**change))
                _like(sound, made)
            tried.append(shown)
    if not tried:
        raise NotApplicable("none of its options is a choice")
    return ", ".join(tried)


def _like(sound: Sound, made: Stems) -> None:
    for name, stem in made.items():
        if stem.shape != sound.mixture.shape:
            raise CheckFailed(
                f"{name} is {tuple(stem.shape)}, the mixture {tuple(sound.mixture.shape)}"
            )


def _finite(made: Stems) -> None:
    for name, stem in made.items():
        if not bool(stem.isfinite().all()):
            raise CheckFailed(f"NaN or infinity in {name}")


def _worst(error: torch.Tensor, sound: Sound) -> float:
    """Return the error of the worst tenth of a second, in dB of the song's mean level."""
    frames = torch.split(error, max(1, sound.rate // 10), dim=1)
    loudest = max(frames, key=lambda frame: float(frame.square().mean()))
    scale = (loudest.numel() / sound.mixture.numel()) ** 0.5
    return decibels(loudest, sound.mixture * scale)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Add the test song to a failure."""
    try:
        yield
    except CheckFailed as failure:
        raise CheckFailed(f"{what}: {failure}", failure.fix) from None
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise CheckFailed(f"{what}: {said}") from error


CHECKS = (
    separates, returned_stems, shapes, finite, dtype, device, audible, lengths, channels, rates,
    silent_song, gain, blocks_alike, sums, choices,
)  # fmt: skip
