"""Draw a passage of one song of a training corpus: the true voice, and that of each method.

    python benchmarks/passage.py CORPUS francium -m spleeter -m unet-stereo -o voice.png \
        [--start 200] [--seconds 8] [--stem drums]

The song is the first whose name contains the word, mixed as in ``benchmarks/learned.py``, and
separated whole. ``--stem`` draws a true stem besides the voice. Levels are in dB below the loudest
point of the picture. Each method's SDR of the voice (``mdx``) is printed, for the whole song and
for the song without the passage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import librosa
import numpy as np
import torch
from learned import RATE, clips, sdr
from matplotlib.figure import Figure

from sepbench import registry
from sepbench.inference import runner
from sepbench.inference.overlap_add import Samples
from sepbench.training.data.discover import find_tracks

RANGE = 70
"""dB from the loudest point to the end of the colour scale."""


def main() -> None:
    """Separate the song with every method and draw the passage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("song", help="A part of its name.")
    parser.add_argument("-m", "--method", action="append", required=True)
    parser.add_argument("--stem", action="append", default=[], help="Draw this true stem as well.")
    parser.add_argument("--start", type=float, default=0.0, help="Seconds into the song.")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = [track for track in find_tracks(given.corpus) if given.song in track.name]
    if not found:
        parser.error(f"{given.song}: in no song's name in {given.corpus}")
    stems = next(clips(found[0], RATE))
    mixture = np.sum(list(stems.values()), axis=0)
    first, last = (round(at * RATE) for at in (given.start, given.start + given.seconds))
    if first >= mixture.shape[-1]:
        parser.error(f"--start {given.start:g}: the song ends before")
    for stem in given.stem:
        if stem not in stems:
            parser.error(f"--stem {stem}: {found[0].name} has {', '.join(stems)}")
    rows = {stem: stems[stem] for stem in given.stem} | {"true voice": stems["vocals"]}
    for method in registry.resolve_all(given.method):
        separator = method.create()
        runner.load(separator, torch.device("cpu"))
        made = runner.separate(separator, mixture, rate=RATE, device=torch.device("cpu"))
        rows[method.label] = voice = made.stems["vocals"]
        rest = [np.delete(sound, np.s_[first:last], -1) for sound in (stems["vocals"], voice)]
        print(
            f"{method.label:20} SDR {sdr(stems['vocals'], voice):6.2f} dB, "
            f"without the passage {sdr(*rest):6.2f} dB"
        )
    figure = draw({name: sound[0, first:last] for name, sound in rows.items()}, given.start)
    figure.savefig(given.out, dpi=70)


def draw(sounds: dict[str, Samples], start: float) -> Figure:
    """Return a picture with a spectrogram of each sound, one above the other."""
    figure = Figure(figsize=(11, 0.4 + 2.65 * len(sounds)), layout="constrained")
    panels = figure.subplots(len(sounds), 1, sharex=True, squeeze=False)[:, 0]
    magnitudes = {
        name: np.abs(librosa.stft(sound, n_fft=1024, hop_length=160))
        for name, sound in sounds.items()
    }
    loudest = max(magnitude.max() for magnitude in magnitudes.values())
    for axes, (name, sound) in zip(panels, sounds.items(), strict=True):
        end = start + sound.shape[-1] / RATE
        image = axes.imshow(
            librosa.amplitude_to_db(magnitudes[name], ref=loudest, top_db=None),
            origin="lower", aspect="auto", vmin=-RANGE, vmax=0, extent=(start, end, 0, RATE / 2000),
        )  # fmt: skip
        axes.set_title(name, loc="left")
        axes.set_ylabel("kHz")
    panels[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(panels), label="dB")
    return figure


if __name__ == "__main__":
    main()
