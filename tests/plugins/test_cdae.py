from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner
from numpy.typing import NDArray
from songs import noise, repeating_song, sdr

from sepbench.cli.main import main
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.stems import with_sums
from sepbench.training.config import read_config
from sepbench.weights import container
from sepbench_plugins.cdae import Cdae
from sepbench_plugins.cdae.chunks import in_chunks
from sepbench_plugins.cdae.convert import MODEL, MixinExchange
from sepbench_plugins.cdae.masking import wiener
from sepbench_plugins.cdae.model import STEMS, CdaeTrainable

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[2] / "configs" / "cdae"
SMALL = {
    "architecture": "strided", "rate": 8000, "bands": 64, "samples": 8192, "frames": 512,
    "widths": [2, 3], "bottleneck": 4, "dilations": [1],
}  # fmt: skip

Tensors = Mapping[str, torch.Tensor]


def weight_file(path: Path, model: Mapping[str, Any], *, but: str = "none") -> Path:
    """Write first weights of a model to a file, one stem's left out."""
    torch.manual_seed(0)
    tensors = CdaeTrainable(model).network().state_dict()
    for name, tensor in tensors.items():
        if "last" in name:  # something is heard everywhere
            tensor.abs_()
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(but)}
    header = {"method": "cdae", "model": dict(model), "context": None, "trained_on": ["nothing"]}
    container.save(path, kept, header, half=False)
    return path


def loaded(file: Path, **options: Any) -> Cdae:
    separator = Cdae(Cdae.Options(weights=str(file), **options))
    separator.load(CPU)
    return separator


@torch.inference_mode()
def separate(separator: Cdae, mixture: torch.Tensor) -> Tensors:
    made = dict(separator.separate(mixture))
    if separator.remainder:
        made[separator.remainder] = mixture - sum(made.values())
    return made


def snr(expected: NDArray[Any], got: NDArray[Any]) -> float:
    return float(10 * np.log10((expected**2).sum() / ((expected - got) ** 2).sum()))


class Slow:
    """MiXiN read once more, in numpy, window by window and tap by tap."""

    LENGTH, RATE = 44032, 44100

    def __init__(self) -> None:
        top = 6 * np.arcsinh(self.RATE / 2 / 600)
        centres = list(600 * np.sinh(np.linspace(0, top, 96)[1:-1] / 6))
        mirrored = [self.RATE - f for f in reversed(centres)]
        p = np.array([0, *centres, self.RATE / 2, *mirrored]) * self.LENGTH / self.RATE
        sizes = [2 * p[1], *(p[2:] - p[:-2]), self.LENGTH - p[-2]]
        self.sizes = [max(4, round(size)) for size in sizes]
        p[94] = (p[93] + p[95]) / 2
        p[96] = self.LENGTH - p[94]
        self.centres = [round(place) for place in p]
        self.frames = max(self.sizes)
        self.windows = [0.5 + 0.5 * np.cos(2 * np.pi * np.arange(m) / m) for m in self.sizes]
        self.energy = np.zeros(self.LENGTH)
        for band, window in enumerate(self.windows):
            self.energy[self._bins(band)] += self.frames * window**2

    def _bins(self, band: int) -> NDArray[np.int64]:
        """Bins of a window that is stored with its peak first."""
        size = self.sizes[band]
        offset = np.arange(size)
        offset[(size + 1) // 2 :] -= size
        return (self.centres[band] + offset) % self.LENGTH

    def _places(self, band: int) -> NDArray[np.int64]:
        size = self.sizes[band]
        return np.r_[0 : (size + 1) // 2, self.frames - size // 2 : self.frames]

    def forward(self, chunk: NDArray[Any]) -> NDArray[Any]:
        spectrum = np.fft.fft(chunk)
        rows = np.zeros((96, self.frames), complex)
        for band in range(96):
            rows[band, self._places(band)] = spectrum[self._bins(band)] * self.windows[band]
        return np.fft.ifft(rows)

    def inverse(self, bands: NDArray[Any]) -> NDArray[Any]:
        rows = np.fft.fft(np.concatenate([bands, bands[94:0:-1].conj()]))
        spectrum = np.zeros(self.LENGTH, complex)
        for band, row in enumerate(rows):
            bins = self._bins(band)
            dual = self.windows[band] / self.energy[bins]
            spectrum[bins] += row[self._places(band)] * dual * self.frames
        return np.fft.irfft(spectrum[: self.LENGTH // 2 + 1], self.LENGTH)

    @staticmethod
    def network(tensors: Mapping[str, NDArray[Any]], image: NDArray[Any]) -> NDArray[Any]:
        def conv(x: NDArray[Any], name: str) -> NDArray[Any]:
            kernel, reach = tensors[f"{name}.weight"], tensors[f"{name}.weight"].shape[-1] // 2
            padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
            out = np.zeros((len(kernel), *x.shape[1:])) + tensors[f"{name}.bias"][:, None, None]
            for row in range(kernel.shape[2]):
                for column in range(kernel.shape[3]):
                    part = padded[:, row : row + x.shape[1], column : column + x.shape[2]]
                    out += np.tensordot(kernel[:, :, row, column], part, 1)
            return np.maximum(out, 0)

        def pool(x: NDArray[Any], rows: int) -> NDArray[Any]:
            missing = -x.shape[2] % 5
            x = np.pad(x, ((0, 0), (0, 0), (missing // 2, missing - missing // 2)))
            return x.reshape(len(x), x.shape[1] // rows, rows, x.shape[2] // 5, 5).max((2, 4))

        x = pool(conv(image[None], "convs.0"), 3)
        x = pool(conv(x, "convs.1"), 1)
        for depth in range(2, 6):
            x = conv(x, f"convs.{depth}")
        x = conv(x.repeat(5, 2), "convs.6").repeat(3, 1).repeat(5, 2)
        return conv(x, "last")[0, :, : image.shape[1]]

    def separate(
        self, tensors: Tensors, song: NDArray[Any], stems: tuple[str, ...], single: bool
    ) -> dict[str, NDArray[Any]]:
        count = -(-len(song) // self.LENGTH)
        padded = np.pad(song.astype(float), (0, count * self.LENGTH - len(song)))
        made: dict[str, list[NDArray[Any]]] = {stem: [] for stem in stems}
        for chunk in padded.reshape(count, -1):
            bands = self.forward(chunk)
            heard = {}
            for stem in stems:
                prefix = f"{stem}."
                own = {
                    name.removeprefix(prefix): tensor.double().numpy()
                    for name, tensor in tensors.items()
                    if name.startswith(prefix)
                }
                heard[stem] = self.network(own, abs(bands))
            total = sum(e**2 for e in heard.values()) + 1e-7
            for stem, e in heard.items():
                kept = e * np.exp(1j * np.angle(bands)) if single else bands * e**2 / total
                made[stem].append(self.inverse(kept))
        return {stem: np.concatenate(parts)[: len(song)] for stem, parts in made.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weight_file(tmp_path_factory.mktemp("published") / "first.safetensors", MODEL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"single_model": True}, {"instrumental": True}], ids=["shared", "single", "two"]
)
def test_the_published_system_is_as_written_down(published: Path, options: dict[str, bool]) -> None:
    separator = loaded(published, **options)
    # Next to nothing in the highest bands, as in most songs, where networks hear something still.
    spectrum = torch.fft.rfft(0.3 * noise(1, 44_032))
    falling = torch.fft.irfft(spectrum * torch.logspace(0, -9, spectrum.shape[-1]))
    song = torch.cat([falling, 0.3 * noise(1, 6000)], dim=-1)
    ours = separate(separator, song)
    tensors = separator._network.state_dict()
    slow = Slow().separate(
        tensors, song[0].numpy(), separator.stems, options.get("single_model", False)
    )
    assert set(ours) == set(slow)
    for stem, expected in slow.items():
        assert snr(expected, ours[stem][0].numpy()) > 100, stem


def test_the_published_networks_have_their_parameters() -> None:
    config = yaml.safe_load((CONFIGS / "published.yaml").read_text())
    assert config["model"] == MODEL
    trainable = CdaeTrainable(config["model"])
    networks = trainable.network()
    counts = [sum(p.numel() for p in network.parameters()) for network in networks.values()]
    assert counts == [37_005] * 3
    samples = int(config["examples"]["seconds"] * 44100)
    assert trainable.features(torch.zeros(1, samples)).shape == (1, 96, 1948)


@pytest.mark.parametrize("name", ["default", "published"])
def test_an_example_of_a_config_is_a_chunk(name: str) -> None:
    config = read_config("cdae", name)
    trainable = CdaeTrainable(config.model)
    assert int(config.examples.seconds * trainable.rate) == trainable.samples


def test_chunks_fade_unless_the_weights_or_the_user_say_otherwise(
    published: Path, tmp_path: Path
) -> None:
    ours = weight_file(tmp_path / "w.safetensors", SMALL)
    for file, options, step in (
        (published, {}, 44_032),
        (published, {"overlap": 0.25}, 33_024),
        (ours, {"full_band": False}, 7168),
        (ours, {"full_band": False, "overlap": 0.0}, 8192),
    ):
        assert Cdae(Cdae.Options(weights=str(file), **options)).block_alignment == step


def test_silence_stays_silence(published: Path) -> None:
    for single_model in (False, True):
        stems = separate(loaded(published, single_model=single_model), torch.zeros(1, 50_000))
        assert not any(stem.any() for stem in stems.values())


def test_chunks_side_by_side_or_cross_faded_are_the_song_again() -> None:
    for samples, overlap in ((1, 0), (64, 16), (65, 16), (1000, 16), (1000, 0), (999, 32)):
        song = noise(2, samples)
        whole = in_chunks(song, lambda c: c[:, None].clone(), size=64, overlap=overlap, batch=3)
        assert torch.allclose(whole[0], song, atol=1e-6)


@pytest.mark.slow
def test_how_many_chunks_are_worked_on_at_once_changes_nothing(published: Path) -> None:
    song = 0.3 * noise(2, 100_000)
    one, many = (separate(loaded(published, batch=size), song) for size in (1, 5))
    for stem in STEMS:
        assert torch.allclose(one[stem], many[stem], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "seconds"), [(1, 5), (2, 25)])
def test_blocks_are_the_whole_song(tmp_path: Path, channels: int, seconds: int) -> None:
    separator = loaded(weight_file(tmp_path / "w.safetensors", SMALL), full_band=False)
    song = 0.3 * noise(channels, seconds * 8000).numpy()
    whole, blocks = (
        runner.separate(separator, song, rate=8000, device=CPU, block_seconds=seconds).stems
        for seconds in (1000.0, 1.0)
    )
    for stem in STEMS:
        assert np.abs(blocks[stem] - whole[stem]).max() < 1e-5


def test_chunks_that_lie_in_the_context_alone_are_left_out(tmp_path: Path) -> None:
    separator = loaded(weight_file(tmp_path / "w.safetensors", SMALL), wiener=0)
    worked: list[int] = []
    work = separator._separate_chunks
    separator._separate_chunks = lambda chunks: (worked.append(len(chunks)), work(chunks))[1]
    hop = separator.block_alignment
    mixture = noise(1, 10 * hop, seed=5)
    whole = separate(separator, mixture)
    assert sum(worked) == 10
    worked.clear()
    with separator.keeping(slice(4 * hop, 6 * hop)):
        part = separate(separator, mixture)
    assert sum(worked) == 3  # Each chunk is a little longer than the hop.
    for stem in STEMS:
        inside = slice(4 * hop, 6 * hop)
        assert torch.allclose(part[stem][:, inside], whole[stem][:, inside], atol=1e-6)


@pytest.mark.parametrize("samples", [100, 5000, 30_001])
def test_the_harmonic_part_is_the_rest_and_that_of_its_own_mask(
    tmp_path: Path, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    separator = loaded(weight_file(tmp_path / "w.safetensors", SMALL))
    song = 0.3 * noise(2, samples)
    rest = separate(separator, song)["harmonic"]
    monkeypatch.setattr(Cdae, "remainder", None)
    masked = separate(separator, song)
    assert torch.allclose(masked["harmonic"], rest, atol=1e-3)
    assert torch.allclose(sum(masked.values()), song, atol=1e-3)


def test_in_full_band_the_networks_hear_what_they_used_in_training(tmp_path: Path) -> None:
    separator = loaded(weight_file(tmp_path / "w.safetensors", SMALL))
    assert separator.sample_rate == 48_000
    time = torch.arange(8192 * 6) / 48_000
    once = 48_000 / len(time)  # a chunk is one period of what is transformed
    tone = sum(torch.sin(2 * torch.pi * n * once * time) for n in (300, 900, 2500))
    own = CdaeTrainable(SMALL)
    narrow = own.nsgt.forward(tone[::6]).abs()
    wide = separator._nsgt.forward(tone).abs() / 6
    assert torch.allclose(wide[: own.bands - 2], narrow[:-2], atol=2e-3 * float(narrow.max()))


def test_the_voice_of_an_instrumental_is_not_even_read(tmp_path: Path) -> None:
    file = weight_file(tmp_path / "w.safetensors", SMALL, but="vocals")
    assert set(loaded(file, instrumental=True)._network) == {"percussive", "harmonic"}
    with pytest.raises(SepbenchError, match="do not fit"):
        loaded(file)


def test_a_higher_power_shares_out_harder() -> None:
    magnitudes = torch.tensor([3.0, 1.0, 0.0]).view(3, 1, 1)
    assert wiener(magnitudes).flatten().tolist() == pytest.approx([0.9, 0.1, 0.0], abs=1e-6)
    assert wiener(magnitudes, power=1.0).flatten().tolist() == pytest.approx([0.75, 0.25, 0.0])


@pytest.mark.parametrize(
    ("model", "power"),
    [(SMALL, 1.5), ({**SMALL, "power": 1.2}, 1.2), ({**MODEL, "samples": 22016}, 2.0)],
)
def test_the_exponent_is_by_the_weights(
    tmp_path: Path, model: Mapping[str, Any], power: float
) -> None:
    file = weight_file(tmp_path / "w.safetensors", model)
    mixture = noise(1, 30_000, seed=3)
    made, asked, other = (
        separate(loaded(file, wiener=0, power=given), mixture)["vocals"]
        for given in (0.0, power, power + 0.5)
    )
    assert torch.equal(made, asked)
    assert not torch.allclose(made, other, atol=1e-4)


@pytest.mark.parametrize("objective", ["energy", "magnitude"])
def test_the_loss_knows_what_is_known(objective: str) -> None:
    trainable = CdaeTrainable({**SMALL, "objective": objective})
    stems = {name: noise(2, 8192, seed=seed) for seed, name in enumerate(STEMS)}
    known = torch.tensor([[True, True, True], [True, False, False]])
    targets = trainable.targets({**stems, "known": known})
    truth = torch.stack([trainable.features(stems[name]) for name in STEMS], dim=1)
    mixture = trainable.features(trainable.mixture(stems))[:, None].expand_as(truth)
    assert trainable.loss(truth, targets) < trainable.loss(mixture, targets)
    wrong = truth.clone()
    wrong[1, 1] = 0.5
    if objective == "magnitude":
        assert trainable.loss(wrong, targets) == trainable.loss(truth, targets)
        assert float(trainable.loss(truth, targets)) == pytest.approx(0, abs=1e-5)
    wrong[0, 1] = 0
    assert trainable.loss(wrong, targets) > trainable.loss(truth, targets)
    # A stem that no example knows has no loss, not one of zero.
    assert set(trainable.losses(truth, targets)) == set(STEMS)
    alone = trainable.targets({**stems, "known": torch.tensor([[True, False, False]] * 2)})
    assert set(trainable.losses(truth, alone)) == {"vocals"}


def keras_models(folder: Path, tensors: Tensors, layout: str = "model") -> Path:
    """Write a network's tensors as Keras has them, whole models, their weights, or Keras 3's."""
    h5py = pytest.importorskip("h5py")
    for number, stem in enumerate(("harmonic", "percussive", "vocal")):
        ours = {"vocal": "vocals"}.get(stem, stem)
        with h5py.File(folder / f"{stem}.h5", "w") as file:
            group = file.create_group("model_weights") if layout == "model" else file
            names = []
            for depth, part in enumerate([*(f"convs.{n}" for n in range(7)), "last"]):
                kernel = tensors[f"{ours}.{part}.weight"].permute(2, 3, 1, 0).numpy()
                bias = tensors[f"{ours}.{part}.bias"].numpy()
                if layout == "keras 3":
                    layer = file.create_group(
                        f"layers/conv2d_{depth}" if depth else "layers/conv2d"
                    )
                    layer["vars/0"], layer["vars/1"] = kernel, bias
                    continue
                # Keras counts layers of all models on; sorted as text they are out of order.
                layer = f"conv2d_{8 * number + depth}"
                own = group.create_group(layer)
                own.attrs["weight_names"] = [f"{layer}/{name}:0" for name in ("kernel", "bias")]
                own[f"{layer}/kernel:0"], own[f"{layer}/bias:0"] = kernel, bias
                group.create_group(f"pool_{depth}").attrs["weight_names"] = np.zeros(0)
                names += [layer.encode(), f"pool_{depth}".encode()]
            if names:
                group.attrs["layer_names"] = names
    return folder


def test_models_may_be_named_model_harmonic(published: Path, tmp_path: Path) -> None:
    folder = keras_models(tmp_path, loaded(published)._network.state_dict())
    for stem in ("harmonic", "percussive", "vocal"):
        (folder / f"{stem}.h5").rename(folder / f"model_{stem}.h5")
    header = MixinExchange().read(folder, tmp_path / "mixin.safetensors")
    assert "model_vocal.h5" in header["notes"]
    (folder / "old_vocal.h5").write_bytes(b"")
    with pytest.raises(SepbenchError, match="several models of vocal"):
        MixinExchange().read(folder, tmp_path / "mixin.safetensors")


@pytest.mark.parametrize("layout", ["model", "weights", "keras 3"])
def test_keras_models_become_a_weight_file(published: Path, tmp_path: Path, layout: str) -> None:
    tensors = loaded(published)._network.state_dict()
    out = tmp_path / "mixin.safetensors"
    header = MixinExchange().read(keras_models(tmp_path, tensors, layout), out)
    assert header == container.read_header(out)
    found = loaded(out)._network.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_what_is_no_model_of_mixin_is_one_line(published: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    tensors = loaded(published)._network.state_dict()
    (tmp_path / "secret").write_bytes(bytes(48))

    def refused(damage: Callable[[Any], None], words: str) -> None:
        with h5py.File(keras_models(tmp_path, tensors) / "vocal.h5", "a") as file:
            damage(file["model_weights"])
        refused_now(words)

    def refused_now(words: str) -> None:
        with pytest.raises(SepbenchError, match=f"vocal.h5: .*{words}") as caught:
            MixinExchange().read(tmp_path, tmp_path / "mixin.safetensors")
        assert "\n" not in str(caught.value)
        assert not re.search("synchronous|object|signature", str(caught.value))

    def fewer(models: Any) -> None:
        models.attrs["layer_names"] = models.attrs["layer_names"][2:]

    def replaced(**dataset: Any) -> Callable[[Any], None]:
        def replace(models: Any) -> None:
            del models["conv2d_16/conv2d_16/bias:0"]
            models["conv2d_16"].create_dataset("conv2d_16/bias:0", **dataset)

        return replace

    refused(fewer, "other shapes")
    refused(replaced(shape=(10**7, 10**7), dtype="f4", chunks=(100, 100)), "other shapes")
    refused(replaced(data=np.zeros(12, "i4")), "no data of its own")
    refused(replaced(data=np.full(12, np.nan, "f4")), "NaN or infinity")
    foreign = [(str(tmp_path / "secret"), 0, 48)]
    refused(replaced(shape=12, dtype="f4", external=foreign), "no data of its own")
    (tmp_path / "vocal.h5").write_bytes(b"not HDF5")
    refused_now("not a Keras model.*get it again")
    (tmp_path / "vocal.h5").unlink()
    for source, what in ((tmp_path, "no vocal.h5 in it"), (tmp_path / "harmonic.h5", "no folder")):
        with pytest.raises(SepbenchError, match=f"{source}: {what}; give the folder"):
            MixinExchange().read(source, tmp_path / "mixin.safetensors")


@pytest.mark.slow
def test_from_keras_models_to_published_stems_on_disk(published: Path, tmp_path: Path) -> None:
    tensors = loaded(published)._network.state_dict()
    song = 0.2 * noise(1, 50_000)
    soundfile.write(tmp_path / "song.wav", song[0].numpy(), 44_100, subtype="FLOAT")
    file = str(tmp_path / "mixin.safetensors")
    models = str(keras_models(tmp_path, tensors))
    run = CliRunner().invoke
    assert run(main, ["weights", "import", "mixin", models, "--out", file]).exit_code == 0
    arguments = ["-o", str(tmp_path), "--name", "{track}_{stem}", "--bit-depth", "32f"]
    done = run(
        main,
        ["separate", "-m", f"cdae[weights={file}]", str(tmp_path / "song.wav"), *arguments],
    )
    assert done.exit_code == 0, done.output
    for stem, expected in Slow().separate(tensors, song[0].numpy(), STEMS, False).items():
        made, rate = soundfile.read(tmp_path / f"song_{stem}.wav", dtype="float32")
        assert rate == 44_100
        assert snr(expected[:44_032], made[:44_032]) > 100, stem


@pytest.fixture(scope="module")
def shipped() -> Cdae:
    separator = Cdae()
    separator.load(CPU)
    return separator


def test_the_shipped_weights_say_what_they_are(shipped: Cdae) -> None:
    assert shipped.weights_file.stat().st_size < 25e6
    assert container.digest(shipped.header["config"]) == shipped.header["config_sha256"]
    assert shipped.header["model"] == read_config("cdae", "default").model
    assert {"medleydb/train", "rendered/train", "mir1k/train"} <= set(shipped.trained_on)
    assert not any(name.endswith(("/val", "/valid", "/test")) for name in shipped.trained_on)
    assert "CC-BY-NC-SA" in shipped.header["license"]


def test_drums_and_chords_come_apart(shipped: Cdae) -> None:
    song = {name: stem[:1] for name, stem in repeating_song(6).items() if name != "vocals"}
    truth = with_sums(song)
    mixture = sum(song.values())
    stems = separate(shipped, mixture)
    for name in ("percussive", "harmonic"):
        assert sdr(truth[name], stems[name]) > sdr(truth[name], mixture) + 3


def test_a_wrong_config_is_one_line() -> None:
    with pytest.raises(SepbenchError, match="architecture is one of"):
        CdaeTrainable({**SMALL, "architecture": "vast"})
    with pytest.raises(SepbenchError, match="objective 'beauty': choose one of"):
        CdaeTrainable({**SMALL, "objective": "beauty"})
