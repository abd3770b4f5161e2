from __future__ import annotations

import numpy as np
import pytest
import torch

from sepbench.dsp.fourier import Chirps, Rows, Spectrum, ways

CPU = torch.device("cpu")
PRECISIONS = [(torch.float32, 1e-6), (torch.float64, 1e-14)]


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS, ids=str)
@pytest.mark.parametrize("samples", [44032, 98304, 4096, 1665, 1023, 1022, 401])
def test_cells_are_the_bins_of_the_spectrum(samples, dtype, tolerance):
    spectrum = Spectrum(samples, CPU, dtype)
    signals = noise(2, samples, dtype=dtype)
    places, conjugated = spectrum.find(np.arange(samples // 2 + 1))
    cells = spectrum.forward(signals).numpy()[:, places]
    bins = np.fft.rfft(signals.numpy().astype(np.float64))
    ours = np.where(conjugated, cells.conj(), cells)
    np.testing.assert_allclose(ours, bins, rtol=0, atol=tolerance * abs(bins).max())
    assert len(np.unique(places)) == len(places)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [44032, 1665, 1022, 1023, 401, 402])
def test_synthesis_is_the_adjoint_of_the_spectrum(samples):
    spectrum = Spectrum(samples, CPU, torch.float64)
    signal, cells = noise(samples), noise(spectrum.cells, dtype=torch.complex128)
    there = torch.vdot(spectrum.forward(signal).flatten(), cells).real
    # The spectrum's own adjoint may write where it reads.
    torch.testing.assert_close(torch.dot(signal, spectrum.adjoint(cells.clone())), there)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS, ids=str)
@pytest.mark.parametrize("length", [1948, 2048, 1949])
def test_each_way_to_the_coefficients_is_the_inverse_transform(length, dtype, tolerance):
    widths = np.array([4, 54, 55, 122, 359, 1059, 1600, length])
    bands = iter(widths)
    for count, rows in ways(length, widths, CPU, dtype):
        for width in [next(bands) for _ in range(count)]:
            from_centre = np.arange(width) - width // 2
            band = noise(3, width, dtype=dtype.to_complex())
            row = torch.zeros(3, rows.size, dtype=dtype.to_complex())
            row[:, rows.find(from_centre)] = band
            full = np.zeros((3, length), dtype=np.complex128)
            full[:, from_centre % length] = band.numpy()
            expected = np.fft.ifft(full, norm="forward")
            ours = rows.forward(row)
            bound = tolerance * abs(expected).max()
            np.testing.assert_allclose(ours, expected, rtol=0, atol=2 * bound)
            back = rows.adjoint(ours)[:, rows.find(from_centre)]
            np.testing.assert_allclose(back, length * band, rtol=0, atol=2 * length * bound)


def test_narrow_bands_of_a_hard_length_go_by_chirps_on_processors_alone():
    widths = np.array([54, 359, 1948])

    def kinds(length, device):
        return [type(rows) for _, rows in ways(length, widths, torch.device(device), torch.float32)]

    assert kinds(1948, "cpu") == [Chirps, Chirps, Rows]
    assert kinds(2048, "cpu") == [Rows]
    assert kinds(1948, "meta") == [Rows]
    assert Spectrum(44032, torch.device("meta"), torch.float32).cells == 22017
