"""What nsgt 0.19 makes of a known signal in known frames, ragged and as a matrix.

``python tests/golden_nsgt.py`` writes the file again; it needs the library: ``pip install --no-deps
--no-build-isolation nsgt==0.19``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from old_nsgt import library_frame

from sepbench.dsp.nsgt import bark, mel

FILE = Path(__file__).parent / "data" / "nsgt.json"
RATE = 44100
FRAMES = {
    "MiXiN": (bark(0, 22050, 96), 44032),
    "mel": (mel(80, 11000, 30), 4411),
    "octave": (27.5 * np.exp2(np.arange(115) / 12), 8192),
    "linear": ([1000, 2500, 4000, 5500, 7000, 22050, 30000], 1023),
}


def signal(samples: int) -> NDArray[np.float64]:
    """Return something of every frequency."""
    index = np.arange(samples)
    return np.sin(0.37 * index**1.7) + 0.3 * np.cos(1e-4 * index**2.1)


def changed(coefficients: Sequence[NDArray]) -> list[NDArray]:
    """Return each band times another complex gain at each time."""
    return [
        row * np.exp(1j * band + 0.7j * np.arange(len(row))) * (0.5 + np.cos(np.arange(len(row))))
        for band, row in enumerate(coefficients)
    ]


def summary(coefficients: Sequence[NDArray]) -> list[complex]:
    """Return a sum over each band in which every coefficient has another weight."""
    return [complex(row @ np.exp(0.3j * np.arange(len(row)) ** 1.5)) for row in coefficients]


def main() -> None:
    """Write the sums over bands, and some samples of the signal that changed bands make."""
    golden: dict[str, dict[str, object]] = {}
    for name, (frequencies, samples) in FRAMES.items():
        for matrix in (True, False):
            frame = library_frame(frequencies, RATE, samples, matrix=matrix)
            bands = list(frame.forward(signal(samples)))
            sums = np.array(summary(bands))
            other = changed(bands)
            back = frame.backward(np.array(other) if matrix else other)
            golden[f"{name} {'matrix' if matrix else 'ragged'}"] = {
                "lengths": [len(band) for band in bands],
                "real": sums.real.round(10).tolist(),
                "imag": sums.imag.round(10).tolist(),
                "back": back[:: samples // 50].round(10).tolist(),
            }
    FILE.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
