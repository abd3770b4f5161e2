"""Compare REPET-SIM with nussl's, in one run.

nussl's method differs by design (greedy peaks, the frame itself left out, a hop of a quarter
window), so the agreement says how close two readings of the paper are, not how exact either is.

python benchmarks/repet_sim.py [--seconds 60] [--threads 1 2] [--long] [--json FILE]
"""

from __future__ import annotations

import compare
import torch


def sepbench(mixture: torch.Tensor) -> compare.Stems:
    """Separate with the plugin at its defaults."""
    from sepbench_plugins.repet_sim import RepetSim

    return {"accompaniment": RepetSim().separate(mixture)["accompaniment"].numpy()}


def nussl(mixture: torch.Tensor) -> compare.Stems:
    """Separate with nussl at its defaults."""
    from sepbench_plugins.nussl_bridge import import_nussl

    old = import_nussl.nussl()
    signal = old.AudioSignal(audio_data_array=mixture.numpy(), sample_rate=compare.RATE)
    return {"accompaniment": old.separation.primitive.RepetSim(signal)()[0].audio_data}


if __name__ == "__main__":
    compare.main(sepbench, {"nussl": nussl})
