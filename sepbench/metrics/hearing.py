"""The hearing-sensitivity filter of log-WMSE, and energies after it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files

import torch

from sepbench.errors import SepbenchError

RATE = 44100
"""Sample rate of the filter in Hz."""

_FILE = "hearing_sensitivity.f32"
_SHA256 = "bc9950e4f6be2846bf178017a5cca1e5407244d7b255d60de17b882f304998ab"
_BLOCK = 2**16


@lru_cache(maxsize=1)
def impulse_response() -> torch.Tensor:
    """Return the 4000 taps of log-wmse-audio-quality (Nomono, Apache-2.0), float32 ``(4000,)``."""
    data = (files("sepbench.metrics") / "data" / _FILE).read_bytes()
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise SepbenchError(f"{_FILE}: damaged; install sepbench again")
    return torch.frombuffer(bytearray(data), dtype=torch.float32)


def filtered_energy(signal: torch.Tensor) -> torch.Tensor:
    """Return the energy of each channel after the filter, decay included, float64 ``(channels,)``.

    Shape:
        signal: ``(channels, samples)`` at `RATE`.
    """
    taps = impulse_response()
    reach = len(taps) - 1
    response = torch.fft.rfft(taps.to(signal.device), n=_BLOCK)
    step = _BLOCK - reach
    length = signal.shape[-1] + reach
    padded = torch.nn.functional.pad(signal, (reach, reach + step))
    energy = signal.new_zeros(len(signal), dtype=torch.float64)
    for start in range(0, length, step):
        spectra = torch.fft.rfft(padded[:, start : start + _BLOCK], n=_BLOCK)
        made = torch.fft.irfft(spectra * response, n=_BLOCK)[:, reach:]
        made = made[:, : length - start]
        energy += torch.linalg.vector_norm(made, dim=-1).double().square()
    return energy
