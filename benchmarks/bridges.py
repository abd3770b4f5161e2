"""Measure the accuracy and the memory of bridges to other networks.

    python benchmarks/bridges.py

Prints the largest difference between ``onnx`` and torch, and the differences between the three
schemes of ``roformer`` on a small network with random weights. ``--files DIR`` keeps the networks,
their cards and a small program in DIR, so that they can be evaluated. ``--long MINUTES`` separates
a song of that length through both networks instead, and prints the peak memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

import psutil
import soundfile
import torch
from command import write_program

from sepbench.dsp.chunks import overlap_add
from sepbench_plugins.roformer import Roformer, network
from sepbench_plugins.roformer.config import read

RATE = 44_100
CONFIG = """
audio: {chunk_size: 88200, sample_rate: 44100}
model:
  dim: 16
  depth: 1
  stereo: true
  num_stems: 1
  time_transformer_depth: 1
  freq_transformer_depth: 1
  dim_head: 16
  heads: 2
  flash_attn: false
  freqs_per_bands: !!python/tuple [64, 64, 128, 256, 513]
  dim_freqs_in: 1025
  stft_n_fft: 2048
  stft_hop_length: 441
  stft_win_length: 2048
  mask_estimator_depth: 1
training: {instruments: [vocals, other], target_instrument: vocals}
inference: {num_overlap: 2, dim_t: 201}
"""


def noise(seconds: float) -> torch.Tensor:
    """Return quiet noise in stereo."""
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(2, round(seconds * RATE), generator=generator)


def onnx_difference(folder: Path) -> None:
    """Run a network with onnxruntime and with torch, on the same chunks."""
    from sepbench_plugins.onnx import Onnx

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv1d(2, 8, 33, padding=16), torch.nn.Tanh(),
                              torch.nn.Conv1d(8, 2, 33, padding=16)).eval()  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.zeros(4, 2, RATE),), str(folder / "n.onnx"), dynamo=False)
    (folder / "n.yaml").write_text(
        "model: n.onnx\nstems: [vocals]\nremainder: accompaniment\nchunk: 44100\noverlap: 0.5\n"
        "window: hann\ninput: {content: waveform, axes: bct}\n"
        "output: {content: waveform, axes: bct}\n"
    )
    separator = Onnx(Onnx.Options(file=str(folder / "n.yaml")))
    separator.load(torch.device("cpu"))
    song, card = noise(30), separator.card
    window = torch.hann_window(card.size + 2, periodic=False)[1:-1]
    with torch.inference_mode():
        made = separator.separate(song)["vocals"]
        expected = overlap_add(
            song, lambda x: net(x)[:, None], window=window, step=card.step, lead=card.first
        )[0]
    print(f"onnx: {float((made - expected).abs().max()):.1e} from torch, 30 s of noise")


def schemes(folder: Path) -> None:
    """Join the chunks of one network in three ways."""
    (folder / "model.yaml").write_text(CONFIG)
    torch.manual_seed(0)
    net = network.build(read(folder / "model.yaml"))
    weights = {name: torch.randn_like(tensor) * 0.1 for name, tensor in net.named_parameters()}
    torch.save({**net.state_dict(), **weights}, folder / "model.ckpt")
    song, made = noise(20), {}
    for scheme in ("msst", "audio-separator", "host"):
        options = Roformer.Options(
            config=str(folder / "model.yaml"), checkpoint=str(folder / "model.ckpt"), scheme=scheme
        )
        separator = Roformer(options)
        separator.load(torch.device("cpu"))
        with torch.inference_mode():
            made[scheme] = separator.separate(song)["vocals"]
    reference = made.pop("msst")
    for scheme, stem in made.items():
        error = (stem - reference).double().square().sum()
        ratio = 10 * torch.log10(reference.double().square().sum() / error)
        print(f"roformer: scheme={scheme} is {ratio:.1f} dB SDR from scheme=msst, 20 s of noise")


def memory(folder: Path, *, minutes: float) -> None:
    """Separate a long song by the command line, and print the peak memory."""
    song = folder / "long.wav"
    piece = noise(60).numpy().T
    with soundfile.SoundFile(song, "w", RATE, 2, "PCM_16") as file:
        for _ in range(round(minutes)):
            file.write(piece)
    roformer = f"config={folder / 'model.yaml'},checkpoint={folder / 'model.ckpt'}"
    for method in (f"onnx[{folder / 'n.yaml'}]", f"roformer[{roformer}]"):
        words = ["separate", "-q", "-m", method, str(song), "-o", str(folder / "separated")]
        peak, seconds = watched([sys.executable, "-m", "sepbench", *words])
        print(
            f"{method.partition('[')[0]}: peak {peak / 2**20:.0f} MiB for {minutes:g} minutes of "
            f"stereo, all processes together; {seconds:.0f} s of CPU time",
            flush=True,
        )


def watched(command: list[str]) -> tuple[int, float]:
    """Run a command; return the peak memory of it and all its processes, and their CPU seconds.

    Memory that processes share counts for each of them.
    """
    process, peak = psutil.Popen(command), 0
    seconds: dict[int, float] = {}
    while process.poll() is None:
        used = 0
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                used += one.memory_info().rss
                seconds[one.pid] = sum(one.cpu_times()[:2])
        peak = max(peak, used)
        time.sleep(0.1)
    if process.returncode != 0:
        raise SystemExit(f"{command} failed")
    return peak, sum(seconds.values())


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=Path)
    parser.add_argument("--long", type=float, metavar="MINUTES")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.files or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        write_program(folder)
        onnx_difference(folder)
        schemes(folder)
        if chosen.long is not None:
            memory(folder, minutes=chosen.long)


if __name__ == "__main__":
    main()
