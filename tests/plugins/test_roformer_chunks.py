"""Chunks of RoFormer: put together as by others, and the same in blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from roformer_files import CHUNK, CPU, HOP, files, loaded
from songs import noise

from sepbench.errors import SepbenchError
from sepbench.inference import memory, runner
from sepbench_plugins.roformer import Roformer, schemes

for module in ("bs_roformer", "mel_band_roformer"):
    pytest.importorskip(module, reason="needs the extra roformer")


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
