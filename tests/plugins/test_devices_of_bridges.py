"""Bridges on the stand-in for a GPU: what they give to a program or another library, and take back.

Networks of torch (roformer, demucs, open-unmix, spleeter) run on the stand-in as in `test_devices`.
The rest computes elsewhere: a program reads files (command), onnxruntime has its own devices (onnx,
mdx-net), and nussl's classical methods compute in numpy. Of those only the way there and back can
be examined: the song must come to the CPU first, and stems must return to the device.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from standin import DEVICE, OnStandin

from sepbench.weights.files import fetch_missing

from . import test_command
from .test_devices import separates_there, separator_is_there

pytestmark = pytest.mark.usefixtures("parameters_that_move")


def test_stems_of_a_program_come_to_the_device(tmp_path: Path) -> None:
    separates_there(f"command[file={test_command.card(tmp_path)}]")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mask", "waveform"])
def test_stems_of_a_network_in_onnx_come_to_the_device(tmp_path: Path, kind: str) -> None:
    from . import test_onnx

    separates_there(f"onnx[{test_onnx.card(tmp_path, kind)}]")


@pytest.mark.slow
def test_stems_of_mdx_net_come_to_the_device(tmp_path: Path) -> None:
    from onnx_files import exported, seeded

    from . import test_mdx_net

    network = seeded(test_mdx_net.Spectra)
    exported(network, torch.zeros(1, 4, 1024, 16), tmp_path / "Test.onnx")
    constants = "stem=vocals,n_fft=4096,bins=1024,frames=16,compensate=1.02"
    separates_there(f"mdx-net[file={tmp_path / 'Test.onnx'},{constants}]")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bs", "mel"])
@pytest.mark.parametrize("scheme", ["msst", "audio-separator", "host"])
def test_roformers_separate_on_the_device(tmp_path: Path, kind: str, scheme: str) -> None:
    from . import test_roformer

    config, checkpoint = test_roformer.files(tmp_path, kind)
    separates_there(f"roformer[config={config},checkpoint={checkpoint},scheme={scheme}]")


@pytest.mark.slow
def test_demucs_separates_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from . import test_demucs

    file = test_demucs.published(test_demucs.hybrid(0), tmp_path / "one.safetensors")
    installed = test_demucs.installed.__wrapped__([file], tmp_path, monkeypatch)
    separator = installed()
    fetch_missing(separator)
    separator_is_there(separator)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["repet", "repet-sim", "hpss", "ft2d", "rpca", "ensemble", "deep-mask"]
)
def test_stems_of_nussl_come_to_the_device(kind: str) -> None:
    separates_there(f"nussl-{kind}")


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [0, 1])
def test_open_unmix_separates_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iterations: int
) -> None:
    from . import test_open_unmix

    for seed, stem in enumerate(test_open_unmix.STEMS):
        torch.save(test_open_unmix.small(seed).state_dict(), tmp_path / f"{stem}.pth")
    files = [tmp_path / f"{stem}.pth" for stem in test_open_unmix.STEMS]
    installed = test_open_unmix.installed.__wrapped__(files, tmp_path, monkeypatch)
    separator = installed(installed.Options(iterations=iterations))
    fetch_missing(separator)
    separator_is_there(separator)


@pytest.mark.slow
@pytest.mark.parametrize("wiener", [0, 1])
def test_spleeter_separates_on_the_device(wiener: int) -> None:
    from . import test_spleeter

    with OnStandin(), torch.no_grad():
        networks = [test_spleeter.StereoUNet().eval().to(DEVICE) for _ in range(2)]
    separator = test_spleeter.with_networks(*networks, wiener=wiener)
    separator_is_there(separator, loads=False)
