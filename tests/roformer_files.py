"""Small RoFormers, as config and checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sepbench.inference import runner
from sepbench_plugins.roformer import Roformer, network
from sepbench_plugins.roformer.config import read

CPU = torch.device("cpu")
CHUNK, HOP = 4000, 40
MODEL = {
    "dim": 8,
    "depth": 1,
    "stereo": True,
    "num_stems": 2,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "linear_transformer_depth": 0,
    "dim_head": 8,
    "heads": 2,
    "flash_attn": False,
    "dim_freqs_in": 65,
    "stft_n_fft": 128,
    "stft_hop_length": HOP,
    "stft_win_length": 128,
    "mask_estimator_depth": 1,
}
CONFIG = """
audio:
  chunk_size: {chunk}
  sample_rate: 44100
  num_channels: 2
model:
{model}
  {bands}
  multi_stft_resolutions_window_sizes: !!python/tuple
  - 4096
  - 2048
training:
  instruments: [{instruments}]
  target_instrument: {target}
inference:
  num_overlap: {overlap}
  dim_t: 101
"""
TUPLE = "freqs_per_bands: !!python/tuple\n  - 8\n  - 8\n  - 16\n  - 33"


def files(
    folder: Path,
    kind: str = "bs",
    *,
    target: str = "null",
    overlap: int = 2,
    wrapped: str | None = None,
    **changes: Any,
) -> tuple[Path, Path]:
    """Write the config and the checkpoint of a small network."""
    model = {**MODEL, **changes, "num_stems": 2 if target == "null" else 1}
    text = CONFIG.format(
        chunk=CHUNK,
        model="\n".join(f"  {key}: {value}" for key, value in model.items()),
        bands=TUPLE if kind == "bs" else "num_bands: 6\n  sample_rate: 44100",
        instruments="vocals, other",
        target=target,
        overlap=overlap,
    )
    config, checkpoint = folder / "config.yaml", folder / "model.ckpt"
    config.write_text(text)
    if not changes:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = network.build(read(config))
            weights = {
                key: torch.randn_like(tensor) * 0.2 for key, tensor in made.named_parameters()
            }
        state = {**made.state_dict(), **weights}
        torch.save({wrapped: state, "epoch": 3} if wrapped else state, checkpoint)
    return config, checkpoint


def loaded(config: Path, checkpoint: Path, **options: Any) -> Roformer:
    separator = Roformer(
        Roformer.Options(config=str(config), checkpoint=str(checkpoint), **options)
    )
    runner.load(separator, CPU)
    return separator
