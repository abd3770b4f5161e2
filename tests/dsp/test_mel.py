from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from sepbench.dsp.mel import mel_bands


@pytest.mark.slow
def test_bands_equal_librosas() -> None:
    ours = mel_bands(40, 1024, 16_000, low=50, high=8000)
    theirs = librosa.filters.mel(sr=16_000, n_fft=1024, n_mels=40, fmin=50, fmax=8000, norm=1)
    assert torch.allclose(ours, torch.from_numpy(np.asarray(theirs)), atol=1e-4)
