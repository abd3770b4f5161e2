"""Finds a constant delay of estimates, such as that of a codec, and takes it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from sepbench.inference.overlap_add import Samples

LONGEST_DELAY = 8192
"""Largest delay, in samples, that is searched for."""

_SEARCHED = 60 * 44100
"""Samples of a song, from its start, that are correlated."""

_CLEAR = 0.3
"""Least correlation of a delay; below it the delay counts as unsure."""

_BETTER = 0.1
"""By how much the correlation must be higher than without a delay."""


def delay(estimates: Mapping[str, Samples], references: Mapping[str, Samples]) -> int:
    """Return the delay of all estimates in samples, by cross-correlation; 0 if unsure.

    Codecs and programs add such delays (MP3: 1105 samples); a millisecond costs a perfect estimate
    some 20 dB. The search covers `LONGEST_DELAY` samples either way, and all stems that are not
    silent must agree: those whose delay is unsure must not resemble their references less.
    """
    return agreed(delays(estimates, references), estimates, references)


def agreed(
    found: Mapping[str, int], estimates: Mapping[str, Samples], references: Mapping[str, Samples]
) -> int:
    """Return the delay of all estimates in samples, as `delay` does, given their `delays`."""
    late = common(found)
    unsure = [stem for stem in estimates if stem in references and stem not in found]
    is_worse = late != 0 and any(
        _is_worse(estimates[stem], references[stem], late) for stem in unsure
    )
    return 0 if is_worse else late


def delays(estimates: Mapping[str, Samples], references: Mapping[str, Samples]) -> dict[str, int]:
    """Return the delay of each estimate in samples, without those for which it is unsure."""
    found = {
        stem: _delay(estimate, references[stem])
        for stem, estimate in estimates.items()
        if stem in references
    }
    return {stem: late for stem, late in found.items() if late is not None}


def common(found: Mapping[str, int]) -> int:
    """Return the delay of all stems, 0 if they differ."""
    return next(iter(found.values())) if len(set(found.values())) == 1 else 0


def _delay(estimate: Samples, reference: Samples) -> int | None:
    """Return the delay of the clear maximum of the cross-correlation, or None."""
    count = min(estimate.shape[1], reference.shape[1], _SEARCHED)
    # Float32 has no squares of very large or small samples.
    made, true = (side[:, :count].sum(0, dtype=np.float64) for side in (estimate, reference))
    norm = float(np.sqrt(np.square(made).sum() * np.square(true).sum()))
    if not norm:
        return None
    size = fft.next_fast_len(2 * count, real=True)
    spectrum = fft.rfft(made, size) * np.conj(fft.rfft(true, size))
    correlation = fft.irfft(spectrum, size) / norm
    reach = min(LONGEST_DELAY, count - 1)
    lags = np.concatenate([np.arange(reach + 1), np.arange(-reach, 0)])
    peaks = correlation[lags]
    best = int(np.argmax(peaks))
    # An estimate of opposite sign correlates best half a period off: that is not a delay.
    if peaks[best] < max(_CLEAR, -float(peaks.min())):
        return None
    return int(lags[best]) if peaks[best] > correlation[0] + _BETTER else 0


def _is_worse(estimate: Samples, reference: Samples, late: int) -> bool:
    """Return whether an estimate resembles its reference less without a delay."""
    count = min(estimate.shape[1], reference.shape[1], _SEARCHED)
    made, true = estimate[:, :count], reference[:, :count].astype(np.float64)
    aligned, as_it_is = (float((one * true).sum()) for one in (shifted(made, late), made))
    return aligned < as_it_is


def shifted(samples: Samples, late: int) -> Samples:
    """Return a signal ``(channels, samples)`` moved ``late`` samples earlier, zero-padded."""
    moved = np.zeros_like(samples)
    if late > 0:
        moved[:, :-late] = samples[:, late:]
    else:
        moved[:, -late:] = samples[:, :late]
    return moved


def remarks(found: Mapping[str, int], *, taken_out: bool | None = None) -> list[str]:
    """Return lines about delays in samples, negative for estimates that are early.

    ``taken_out`` says whether the delay was, None if that was not asked for.
    """
    late = common(found)
    if late and taken_out:
        return [f"the estimates were {_in_words(late)}; aligned"]
    if late and taken_out is not None:
        return [
            f"some estimates are {_in_words(late)}, "
            "but another resembles its reference less without "
            "that delay; not aligned"
        ]
    if late:
        return [f"the estimates are {_in_words(late)}, as after some codecs; --align corrects it"]
    return [
        f"{stem}: the estimate is {_in_words(own)}, others are not; make it again"
        for stem, own in found.items()
        if own
    ]


def _in_words(late: int) -> str:
    return f"{abs(late)} samples {'late' if late > 0 else 'early'}"
