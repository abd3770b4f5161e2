from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from songs import noise, repeating_song, sdr

from sepbench.dsp.stft import Stft
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.separator import WeightFile
from sepbench.testing import examine
from sepbench.testing.check import FAILED
from sepbench.weights.files import fetch_missing
from sepbench_plugins.open_unmix import OpenUnmix
from sepbench_plugins.open_unmix.filtering import refine, separate
from sepbench_plugins.open_unmix.network import StemNetwork, read_network

CPU = torch.device("cpu")
STEMS = ("vocals", "drums", "bass", "other")
STFT = Stft(n_fft=128, hop=32)


@pytest.fixture(scope="module")
def openunmix() -> ModuleType:
    """The package itself, which wants torchaudio only to read and resample files."""
    lacking = "torchaudio" not in sys.modules
    if lacking:
        sys.modules["torchaudio"] = ModuleType("torchaudio")
    try:
        import openunmix.model
    except ImportError as error:
        pytest.skip(f"openunmix does not import: {error}")
    finally:
        if lacking:
            del sys.modules["torchaudio"]
    return openunmix


def small(seed: int, *, channels: int = 2) -> StemNetwork:
    """A network whose numbers all matter."""
    torch.manual_seed(seed)
    network = StemNetwork(bins=65, seen=40, channels=channels, hidden=8, layers=3).eval()
    for vector in (*network.buffers(), *(p for p in network.parameters() if p.ndim == 1)):
        if vector.is_floating_point():
            torch.nn.init.uniform_(vector, 0.2, 1.0)
    return network


@pytest.fixture(scope="module", params=[True, False], ids=["zip", "legacy"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Weights of four small networks, one a stem, as published then and now."""
    folder = tmp_path_factory.mktemp("weights")
    for seed, stem in enumerate(STEMS):
        tensors = {**small(seed).state_dict(), "stft.window": torch.ones(128)}
        torch.save(tensors, folder / f"{stem}.pth", _use_new_zipfile_serialization=request.param)
    return [folder / f"{stem}.pth" for stem in STEMS]


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_stems_are_those_of_the_package(
    openunmix: ModuleType, files: list[Path], iterations: int
) -> None:
    theirs = {}
    for path in files:
        network = openunmix.model.OpenUnmix(65, 2, 8, 3, max_bin=40).eval()
        tensors = torch.load(path, weights_only=True)
        network.load_state_dict({k: v for k, v in tensors.items() if k != "stft.window"})
        theirs[path.stem] = network
    separator = openunmix.model.Separator(theirs, niter=iterations, n_fft=128, n_hop=32).eval()
    chance = torch.get_rng_state()
    ours = {path.stem: read_network(path) for path in files}
    assert torch.equal(torch.get_rng_state(), chance)
    # Silence at both ends: the package mirrors the song there, and others have zeros.
    song = torch.nn.functional.pad(5 * noise(2, 25_000), (200, 200))
    with torch.inference_mode():
        expected = separator(song[None])[0]
        made = separate(song, ours, stft=STFT, iterations=iterations)
    for index, stem in enumerate(STEMS):
        assert float(expected[index].abs().max()) > 0.1
        assert torch.allclose(made[stem], expected[index], atol=2e-5)


def test_filtered_stems_sum_to_the_mixture() -> None:
    song = noise(2, 25_000)
    networks = {stem: small(seed) for seed, stem in enumerate(STEMS)}
    with torch.inference_mode():
        stems = separate(song, networks, stft=STFT, iterations=1)
    assert sdr(song, torch.stack(list(stems.values())).sum(0)) > 40


def test_the_filter_tells_apart_what_comes_from_left_and_right() -> None:
    stft = Stft(n_fft=1024, hop=256)
    parts = repeating_song(2)
    left = torch.stack([parts["vocals"][0], 0.1 * parts["vocals"][0]])
    right = torch.stack([0.1 * parts["drums"][0], parts["drums"][0]])
    mixture = stft.forward(left + right)
    # Both have the right energy at each moment, at no frequency the right one.
    rough = [
        stft.forward(part).abs().mean(1, keepdim=True) * torch.exp(1j * mixture.angle())
        for part in (left, right)
    ]
    found = stft.inverse(refine(rough, mixture, 2)[0], left.shape[-1])
    before = stft.inverse(rough[0], left.shape[-1])
    assert sdr(left, found) > sdr(left, before) + 6


@pytest.fixture
def installed(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> type[OpenUnmix]:
    """The method with small weights to be fetched in place of its default ones."""
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path))
    others = OpenUnmix.weight_files.fget  # type: ignore[attr-defined]
    small_ones = tuple(
        WeightFile(file.name, hashlib.sha256(file.read_bytes()).hexdigest()[:8], file.as_uri())
        for file in files
    )

    def weight_files(self: OpenUnmix) -> tuple[WeightFile, ...]:
        return small_ones if self.options.model == "umxhq" else others(self)

    monkeypatch.setattr(OpenUnmix, "weight_files", property(weight_files))
    return OpenUnmix


def test_a_method_with_small_weights_separates_a_song(installed: type[OpenUnmix]) -> None:
    separator = installed()
    with pytest.raises(SepbenchError, match="'sepbench weights fetch open-unmix' fetches them"):
        separator.load(CPU)
    fetch_missing(separator)
    separator.load(CPU)
    made = runner.separate(separator, noise(1, 9_001).numpy(), rate=22_050, device=CPU).stems
    assert set(made) == set(STEMS)
    assert {stem.shape for stem in made.values()} == {(1, 9_001)}


@pytest.mark.slow
def test_it_keeps_to_the_contract(installed: type[OpenUnmix]) -> None:
    fetch_missing(installed())
    failed = [
        outcome.line() for outcome in examine(installed, seconds=2.0) if outcome.status == FAILED
    ]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("content", [{"a": torch.ones(2)}, [1], {"input_mean": print}])
def test_any_other_file_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(SepbenchError, match="not the weights of a network of Open-Unmix"):
        read_network(tmp_path / "weights.pth")


def test_speech_comes_out_of_noise_in_one_channel() -> None:
    speech = OpenUnmix(OpenUnmix.Options(model="umxse"))
    assert speech.stems == ("vocals", "accompaniment")
    assert (speech.sample_rate, speech.channels) == (16_000, 1)
    networks = {stem: small(seed, channels=1) for seed, stem in enumerate(speech.stems)}
    song = noise(1, 5_000)
    with torch.inference_mode():
        stems = separate(song, networks, stft=Stft(n_fft=128, hop=64), iterations=1)
    assert sdr(song, stems["vocals"] + stems["accompaniment"]) > 40


@pytest.mark.parametrize("model", ["umxhq", "umxl", "umx", "umxse"])
def test_the_names_of_published_files_begin_their_hashes(model: str) -> None:
    for file in OpenUnmix(OpenUnmix.Options(model=model)).weight_files:
        assert file.sha256[:8] in file.file
        assert file.url is not None
        assert file.url.endswith(file.file)
