"""RoFormers beside the packages that define them, on small networks made here."""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from songs import noise

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import memory, runner
from sepbench_plugins.roformer import Roformer, network, packages, schemes
from sepbench_plugins.roformer.config import read

for module in ("bs_roformer", "mel_band_roformer"):
    pytest.importorskip(module, reason="needs the extra roformer")

CPU = torch.device("cpu")
BANDS = (8, 8, 16, 33)
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


def by_the_package(kind: str, config: Path, checkpoint: Path, mixture: torch.Tensor) -> Any:
    """Separate by the package's own reading of MSST."""
    from ml_collections import ConfigDict

    package = {"bs": "bs_roformer", "mel": "mel_band_roformer"}[kind]
    utils = __import__(f"{package}.utils", fromlist=["utils"])
    loader = __import__(f"{package}.inference", fromlist=["inference"]).SafeLoaderWithTuple
    values = ConfigDict(yaml.load(config.read_text(), Loader=loader))  # noqa: S506
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        model = utils.get_model_from_config(
            {"bs": "bs_roformer", "mel": "mel_band_roformer"}[kind], values
        ).eval()
        model.load_state_dict(torch.load(checkpoint, weights_only=True))
        made, _ = utils.demix_track(values, model, mixture, CPU)
    return made


@pytest.mark.parametrize("kind", ["bs", "mel"])
@pytest.mark.parametrize("target", ["null", "vocals"])
def test_stems_are_those_of_the_package(tmp_path: Path, kind: str, target: str) -> None:
    config, checkpoint = files(tmp_path, kind, target=target)
    mixture = 0.1 * noise(2, 13_333)
    expected = by_the_package(kind, config, checkpoint, mixture)
    with torch.inference_mode():
        made = loaded(config, checkpoint).separate(mixture)
    assert np.abs(expected["vocals"]).max() > 1e-3
    np.testing.assert_allclose(made["vocals"].numpy(), expected["vocals"], rtol=0, atol=1e-5)
    if target == "null":
        np.testing.assert_allclose(made["accompaniment"], expected["other"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "samples", [10, 1_000, 2_001, 3_000, 4_001, 4_700, 5_800, 7_999, 8_001, 20_001]
)
@pytest.mark.parametrize("overlap", [1, 2, 4])
def test_chunks_are_put_together_as_by_msst(samples: int, overlap: int) -> None:
    """Its description, word by word, on a "network" that counts."""
    song = noise(2, samples)

    def apply(chunk: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(0.5, 1.5, chunk.shape[-1])
        return torch.stack([chunk * ramp, chunk.flip(-1)])

    step, fade = CHUNK // overlap, CHUNK // 10
    border = CHUNK - step
    mix = song.numpy()
    if samples > 2 * border and border > 0:
        mix = np.pad(mix, ((0, 0), (border, border)), mode="reflect")
    total, count = np.zeros((2, *mix.shape)), np.zeros(mix.shape)
    i = 0
    while i < mix.shape[1]:
        part = mix[:, i : i + CHUNK]
        length = part.shape[1]
        if length < CHUNK:
            mode = "reflect" if length > CHUNK // 2 else "constant"
            part = np.pad(part, ((0, 0), (0, CHUNK - length)), mode=mode)
        window = np.ones(CHUNK)
        window[:fade] *= np.linspace(0, 1, fade)
        window[-fade:] *= np.linspace(1, 0, fade)
        if i == 0:
            window[:fade] = 1
        elif i + step >= mix.shape[1]:  # No other chunk follows.
            window[-fade:] = 1
        made = apply(torch.from_numpy(part.copy())).numpy()
        total[..., i : i + length] += (made * window)[..., :length]
        count[:, i : i + length] += window[:length]
        i += step
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(total / count)
    if samples > 2 * border and border > 0:
        expected = expected[..., border:-border]
    found = schemes.msst(song, apply, chunk=CHUNK, num_overlap=overlap)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [10, 3_999, 4_000, 4_001, 10_000, 12_000])
def test_chunks_are_put_together_as_by_audio_separator(samples: int) -> None:
    song = noise(2, samples)

    def same(chunk: torch.Tensor) -> torch.Tensor:
        starts.append(chunk)
        return chunk[None]

    starts: list[torch.Tensor] = []
    found = schemes.audio_separator(song, same, chunk=4_000, num_overlap=2)
    torch.testing.assert_close(found[0], song, rtol=0, atol=1e-6)
    assert torch.equal(starts[-1], song[:, max(0, samples - 4_000) :])
    assert len(starts) == max(1, -(-(samples - 4_000) // 2_000) + 1)


def counting(separator: Roformer) -> list[torch.Tensor]:
    """Give a separator a "network" without weights; return the list of the chunks that it gets."""
    chunks: list[torch.Tensor] = []

    def apply(chunk: torch.Tensor) -> torch.Tensor:
        chunks.append(chunk.clone())
        ramp = torch.linspace(0.5, 1.5, chunk.shape[-1])
        return torch.stack([chunk * ramp, chunk.flip(-1) + chunk.mean()])

    count = separator.options.num_overlap + 2
    separator._remembered = [schemes.Remembered(apply, count) for _ in range(3)]
    return chunks


def in_blocks(separator: Roformer, mixture: torch.Tensor, samples: int) -> dict[str, Any]:
    """Separate a song in blocks of so many samples and their context."""
    rate = separator.sample_rate
    return runner.separate(
        separator, mixture.numpy(), rate=rate, device=CPU, block_seconds=samples / rate
    ).stems


LENGTHS = (10, 2_999, 3_000, 3_001, 4_001, 7_999, 8_000, 8_001, 9_000, 14_411, 30_001, 48_000)


@pytest.mark.parametrize("overlap", [1, 2, 3, 4])
@pytest.mark.parametrize("scheme", ["msst", "audio-separator", "host"])
def test_blocks_are_as_the_whole_song_to_the_last_bit(
    tmp_path: Path, scheme: str, overlap: int
) -> None:
    """Songs shorter than a chunk, on the grid, a sample beside it, and of several blocks."""
    config, checkpoint = files(tmp_path)
    # audio-separator's chunks become 3000 samples, the others stay at 4000; at this rate blocks
    # have a cross-fade of 800 samples, which is less than a step.
    text = config.read_text().replace("dim_t: 101", "dim_t: 76")
    config.write_text(text.replace("sample_rate: 44100", "sample_rate: 8000"))
    separator = Roformer(
        Roformer.Options(
            config=str(config), checkpoint=str(checkpoint), scheme=scheme, num_overlap=overlap
        )
    )
    for length in LENGTHS:
        mixture = 0.1 * noise(2, length)
        chunks = counting(separator)
        whole = separator.separate(mixture.clone())
        size = 3_000 if scheme == "audio-separator" else 4_000
        assert {chunk.shape[-1] for chunk in chunks} == {
            min(length, size) if scheme == "audio-separator" else size
        }
        for block in (1, 7_000):
            made = in_blocks(separator, mixture, block)
            for stem in whole:
                np.testing.assert_array_equal(
                    made[stem], whole[stem], err_msg=f"{length} samples, blocks of {block}"
                )


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["msst", "audio-separator", "host"])
def test_networks_give_the_same_in_blocks(tmp_path: Path, scheme: str) -> None:
    separator = loaded(*files(tmp_path), scheme=scheme, tta=True)
    mixture = 0.1 * noise(2, 40_001)
    with torch.inference_mode():
        whole = separator.separate(mixture.clone())
    made = in_blocks(separator, mixture, 11_000)
    for stem in whole:
        assert whole[stem].abs().max() > 1e-3
        np.testing.assert_array_equal(made[stem], whole[stem].numpy())


@pytest.mark.parametrize("scheme", ["msst", "audio-separator", "host"])
def test_blocks_separate_each_chunk_once(tmp_path: Path, scheme: str) -> None:
    config, checkpoint = files(tmp_path)
    separator = Roformer(
        Roformer.Options(
            config=str(config), checkpoint=str(checkpoint), scheme=scheme, num_overlap=2
        )
    )
    mixture = 0.1 * noise(2, 90_000)
    chunks = counting(separator)
    separator.separate(mixture.clone())
    whole = len(chunks)
    chunks = counting(separator)
    in_blocks(separator, mixture, 20_000)
    assert len(chunks) == whole
    assert whole <= 90_000 // 2_000 + 1


def test_memory_grows_with_the_song_only_where_the_song_is_normalised(tmp_path: Path) -> None:
    config, checkpoint = files(tmp_path)

    def hour(scheme: str) -> float:
        separator = Roformer(
            Roformer.Options(config=str(config), checkpoint=str(checkpoint), scheme=scheme)
        )
        return memory.needed(separator, seconds=3600, rate=44100, channels=2)

    assert [hour(scheme) for scheme in ("host", "msst", "audio-separator")] == [0, 0, 0]
    config.write_text(config.read_text() + "  normalize: true\n")
    assert hour("msst") == hour("audio-separator") > 5e9
    with pytest.raises(SepbenchError, match="normalises the whole song; take scheme=msst"):
        hour("host")


def test_a_song_is_normalised_as_a_whole(tmp_path: Path) -> None:
    config, checkpoint = files(tmp_path)
    config.write_text(config.read_text() + "  normalize: true\n")
    separator = Roformer(Roformer.Options(config=str(config), checkpoint=str(checkpoint)))
    mixture = noise(2, 30_000) * torch.linspace(0.01, 0.3, 30_000) + 0.1
    counting(separator)
    whole = separator.separate(mixture.clone())
    made = in_blocks(separator, mixture, 7_000)
    for stem in whole:
        np.testing.assert_array_equal(made[stem], whole[stem])


@pytest.mark.parametrize("kind", ["bs", "mel"])
@pytest.mark.parametrize("samples", [1, 2, 64, 65, 999, 3_999])
def test_a_song_shorter_than_a_chunk_comes_back_to_its_end(
    tmp_path: Path, kind: str, samples: int
) -> None:
    """It is as with silence up to a whole hop, more than half a window away."""
    separator = loaded(*files(tmp_path, kind), scheme="audio-separator")
    song = 0.1 * noise(2, samples)
    hops = -(-max(samples, 65) // HOP)
    longer = torch.nn.functional.pad(song, (0, hops * HOP - samples))
    with torch.inference_mode():
        made, expected = separator.separate(song), separator.separate(longer)
    for stem, wave in made.items():
        assert (wave[:, -1] != 0).all()
        torch.testing.assert_close(wave, expected[stem][:, :samples])


def test_augmentation_makes_swapped_and_negated_songs_come_out_alike(tmp_path: Path) -> None:
    separator = loaded(*files(tmp_path), tta=True)
    mixture = 0.1 * noise(2, 9_000)
    with torch.inference_mode():
        made = separator.separate(mixture)["vocals"]
        plain = loaded(*files(tmp_path))
        parts = [
            plain.separate(mixture)["vocals"],
            plain.separate(mixture.flip(0))["vocals"].flip(0),
            -plain.separate(-mixture)["vocals"],
        ]
    torch.testing.assert_close(made, sum(parts) / 3)


@pytest.mark.parametrize("wrapped", ["state", "state_dict", "model_state_dict"])
def test_tensors_are_found_under_their_names(tmp_path: Path, wrapped: str) -> None:
    loaded(*files(tmp_path, wrapped=wrapped))


def test_a_target_leaves_the_rest(tmp_path: Path) -> None:
    separator = loaded(*files(tmp_path, target="vocals"))
    assert separator.stems == ("vocals", "accompaniment")
    assert separator.remainder == "accompaniment"
    mixture = 0.1 * noise(2, 9_000).numpy()
    made = runner.separate(separator, mixture, rate=44_100, device=CPU).stems
    np.testing.assert_allclose(made["vocals"] + made["accompaniment"], mixture, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "rest"), [("drums", "no_drums"), ("guitar", "no_guitar"), ("vocals", "accompaniment")]
)
@pytest.mark.parametrize("order", ["{0}, other", "other, {0}"])
@pytest.mark.parametrize("target", ["null", "{0}", "other"])
def test_other_beside_one_stem_is_the_rest_of_the_song(
    tmp_path: Path, first: str, rest: str, order: str, target: str
) -> None:
    config, _ = files(tmp_path, target=target.format(first), depth=1)
    text = config.read_text().replace("[vocals, other]", f"[{order.format(first)}]")
    config.write_text(text)
    found = read(config)
    assert {*found.stems, found.remainder} - {None} == {first, rest}
    assert found.remainder == {"null": None, "{0}": rest, "other": first}[target]


def test_a_checkpoint_that_does_not_fit_says_how_many_keys(tmp_path: Path) -> None:
    _, checkpoint = files(tmp_path)
    other, _ = files(tmp_path, depth=2)
    with pytest.raises(SepbenchError, match=r"of \d+ keys \d+ are missing \(layers.1.0") as caught:
        loaded(other, checkpoint)
    assert str(caught.value).count("layers.1.") == 3
    other, _ = files(tmp_path, dim=16)
    with pytest.raises(SepbenchError, match=r"\d+ have other shapes \("):
        loaded(other, checkpoint)


def test_a_checkpoint_of_nan_is_refused(tmp_path: Path) -> None:
    config, checkpoint = files(tmp_path)
    state = torch.load(checkpoint, weights_only=True)
    next(iter(tensor for tensor in state.values() if tensor.is_floating_point())).fill_(np.nan)
    torch.save(state, checkpoint)
    with pytest.raises(SepbenchError, match=r"model.ckpt: 1 of \d+ tensors hold NaN or infinity"):
        loaded(config, checkpoint)


def test_no_code_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    config, checkpoint = files(tmp_path)
    torch.save({"state_dict": print}, checkpoint)
    with pytest.raises(
        SepbenchError, match="not a checkpoint of tensors alone; save its state_dict"
    ):
        loaded(config, checkpoint)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "dim_head:",
            "dim_haed:",
            "config.yaml: model: no key 'dim_haed'; did you mean 'dim_head'?",
        ),
        ("model:\n", "modle:\n", "not a config of MSST: the section 'model' is missing"),
        ("  dim: 8\n", "", "not the config of a RoFormer: model: dim, depth"),
        ("  - 33", "  - 34", "no network can be built of it: "),
        ("instruments: [vocals, other]", "instruments: []", "training: instruments is missing"),
        ("chunk_size: 4000", "chunk_size: many",
         "config.yaml: audio: chunk_size: expected a whole number above 0, not 'many'"),
        ("num_overlap: 2", "num_overlap: 0",
         "config.yaml: inference: num_overlap: expected a whole number above 0, not 0"),
        ("num_overlap: 2", "num_overlap: 4001",
         "a chunk of 4000 samples cannot begin every 1/4001 of its length; give a smaller num_ov"),
        ("  num_stems: 2", "  num_stems: 3",
         "model: num_stems: 3, but by the section training the network makes vocals, accompanime"),
        ("target_instrument: null", "target_instrument: vocals",
         "model: num_stems: 2, but by the section training the network makes vocals; correct num"),
        ("[vocals, other]", "vocals", "training: instruments: expected a list, not 'vocals'"),
        ("  dim: 8", "  dim: 8\n  skip_connection: true",
         "model: skip_connection: bs-roformer-infer cannot add the outputs of earlier layers"),
        ("num_overlap: 2", 'num_overlap: 2\n  normalize: "false"',
         "config.yaml: inference: normalize: expected true or false, not 'false'"),
        ("stereo: True", 'stereo: "no"', "model: stereo: expected true or false, not 'no'"),
        ("sample_rate: 44100", "sample_rate: .nan", "sample_rate: expected a whole number above 0"),
        ("chunk_size: 4000", "chunk_size: .inf", "chunk_size: expected a whole number above 0"),
        ("inference:\n  num_overlap: 2\n  dim_t: 101", "inference: [2]",
         "config.yaml: inference: expected 'key: value' lines, not [2]"),
        ("!!python/tuple", "!!python/object/apply:os.system",
         "could not determine a constructor for the tag"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    config, checkpoint = files(tmp_path)
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(SepbenchError) as caught:
        loaded(config, checkpoint).stems  # noqa: B018
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("both", [True, False])
def test_a_package_of_the_same_module_is_named(monkeypatch: Any, both: bool) -> None:
    here = {"bs-roformer": "1.2.4", **({"bs-roformer-infer": "0.1.5"} if both else {})}

    def version(name: str) -> str:
        if name not in here:
            raise PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(packages, "version", version)
    found = packages.conflict("bs") or ""
    assert ("overwrite each other" if both else "cannot load such checkpoints") in found
    assert "pip uninstall bs-roformer" in found
    assert packages.conflict("mel") is None


def test_without_files_it_says_what_to_give() -> None:
    assert not registry.plugin("roformer").broken
    with pytest.raises(SepbenchError, match=r"roformer\[config=FILE.yaml,checkpoint=FILE.ckpt\]"):
        Roformer().stems  # noqa: B018
