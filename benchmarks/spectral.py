"""Compare the group spectral with auraloss and Music-Source-Separation-Training, in one run.

    python benchmarks/spectral.py [--seconds 60] [--stems 4] [--threads 1]

auraloss is called as gensvs_eval and Music-Source-Separation-Training call it. The latter is not a
package, so its other functions are written here with torch.stft and librosa, as it defines them.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from measure import in_own_process, share_of_peak, table
from songs import RATE, STEMS, separated, song

NAMES = ("mrstft-gensvs", "mrstft-msst", "l1-freq", "bleedless", "fullness")


def audio(seconds: float, stems: int) -> tuple[dict, dict]:
    """Return references and estimates by stem."""
    chosen = {name: stem for name, stem in song(seconds).items() if name in STEMS[:stems]}
    return chosen, separated(chosen)


def theirs(seconds: float, stems: int, threads: int) -> dict[str, object]:
    """Score one method, one metric at a time, as the programs do."""
    import torch
    from measure import Clock

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    references, made = audio(seconds, stems)
    spent, scores = {}, {}
    with share_of_peak() as peak:
        for name in NAMES:
            with Clock() as clock:
                scores[name] = [_one(name, references[stem], made[stem]) for stem in references]
            spent[name] = clock.spent
    return {"spent": spent, "scores": scores, "peak": peak.bytes}


def _one(name, reference, estimate):
    import librosa
    import torch
    from auraloss.freq import MultiResolutionSTFTLoss

    if name == "mrstft-gensvs":
        sizes = [256, 512, 1024, 2048, 4096]
        loss = MultiResolutionSTFTLoss(
            sizes, [n // 4 for n in sizes], sizes, sample_rate=RATE, perceptual_weighting=True
        )
        pairs = zip(estimate, reference, strict=True)
        return float(np.mean([float(loss(e[None, None], r[None, None])) for e, r in pairs]))
    if name == "mrstft-msst":
        sizes = [1024, 2048, 4096]
        mels = {"scale": "mel", "n_bins": 128}
        loss = MultiResolutionSTFTLoss(
            sizes,
            [n // 4 for n in sizes],
            sizes,
            sample_rate=RATE,
            perceptual_weighting=True,
            **mels,
        )
        return 100 / (1 + 10 * float(loss(reference[None], estimate[None])))
    if name == "l1-freq":
        pair = [torch.stft(x, 2048, 1024, return_complex=True).abs() for x in (estimate, reference)]
        return 100 / (1 + 10 * float(torch.nn.functional.l1_loss(*pair)))
    # One function there returns both scores; it is called for each.
    bands = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=4096, n_mels=512))
    how = {"window": torch.hann_window(4096), "return_complex": True, "pad_mode": "constant"}
    levels = []
    for signal in (reference, estimate):
        mel = torch.matmul(bands, torch.stft(signal, 4096, 1024, **how).abs())
        level = 20 * torch.log10(mel.clamp(min=1e-10))
        levels.append(torch.maximum(level, level.max() - 80))
    apart = levels[1] - levels[0]
    return 100 / (
        1 + float(apart[apart > 0].mean() if name == "bleedless" else -apart[apart < 0].mean())
    )


def ours(seconds: float, stems: int, threads: int) -> dict[str, object]:
    """Score one method with all metrics, then two more, then one with each metric alone."""
    import torch
    from measure import Clock

    from sepbench.metrics.metric import Estimates, Song
    from sepbench.registry.metrics import resolve_metrics

    torch.set_num_threads(threads)
    references, made = audio(seconds, stems)
    mixture = torch.stack(list(references.values())).sum(0)
    metrics = {m.name: m for m in resolve_metrics(["spectral"]) if m.name in NAMES}
    scores, spent = {}, {}
    with share_of_peak() as peak:
        whole, first = Song(references, mixture, RATE), Estimates(made)
        with Clock() as clock:
            for name in NAMES:
                scores[name] = metrics[name].score_set(whole, first)[name].tolist()
        spent["all"] = clock.spent
        with Clock() as clock:
            for name in NAMES:
                metrics[name].score_sets(whole, [Estimates(made), Estimates(made)])
        spent["two further"] = clock.spent
    for name in NAMES:
        with Clock() as clock:
            metrics[name].score_set(Song(references, mixture, RATE), Estimates(made))
        spent[name] = clock.spent
    return {"spent": spent, "scores": scores, "peak": peak.bytes}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stems", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    how = vars(parser.parse_args())
    reference, mine = in_own_process(theirs, *how.values()), in_own_process(ours, *how.values())
    rows = []
    for name in NAMES:
        a, b = (np.array(x["scores"][name]) for x in (reference, mine))
        ratio = reference["spent"][name]["cpu"] / mine["spent"][name]["cpu"]
        worst = np.abs(a - b) / np.maximum(np.abs(a), 1e-9)
        rows.append([name, *(f"{x['spent'][name]['cpu']:.2f}" for x in (reference, mine))])
        rows[-1] += [f"{ratio:.0f}", f"{worst.max():.0e}"]
    total = sum(reference["spent"][name]["cpu"] for name in NAMES)
    for name, methods in (("all", 1), ("two further", 2)):
        spent = mine["spent"][name]["cpu"]
        rows.append(
            [name, f"{methods * total:.2f}", f"{spent:.2f}", f"{methods * total / spent:.0f}", ""]
        )
    print(table(["metric", "theirs", "ours", "ratio", "difference"], rows))
    print("CPU seconds; greatest relative difference of a stem's score.")
    print(f"GiB beyond the audio: {reference['peak'] / 2**30:.2f} and {mine['peak'] / 2**30:.2f}")


if __name__ == "__main__":
    main()
