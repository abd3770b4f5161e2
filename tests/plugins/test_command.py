"""Programs as methods: stand-ins that the tests write, run for real."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from commands import interruptible
from songs import noise

from sepbench import registry
from sepbench._util.partial import own_folder
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.separator import Separator
from sepbench_plugins.command import PRESETS, Command
from sepbench_plugins.command.provenance import version

CPU = torch.device("cpu")
RATE = 44_100

HALVES = """
    import sys, pathlib, soundfile
    out, *songs = map(pathlib.Path, sys.argv[1:])
    for song in songs:
        samples, rate = soundfile.read(song, dtype="float32")
        (out / song.stem).mkdir(parents=True)
        for stem, share in {"vocals": 0.25, "accompaniment": 0.75}.items():
            soundfile.write(out / song.stem / f"{stem}.wav", samples * share, rate, "FLOAT")
    with open(pathlib.Path(__file__).with_name("calls"), "a") as calls:
        calls.write("x")
"""
ONE_SONG = ("--dataset", "simulated", "--track", "*-000", "--duration", "1")
STEMS = {"vocals": "{track}/vocals.wav", "accompaniment": "{track}/accompaniment.wav"}


class Halves(Separator):
    """The same maths as the stand-in program."""

    name = "halves"
    summary = "For tests."
    stems = ("vocals", "accompaniment")
    sample_rate = RATE
    channels = 2
    license = "MIT"
    citation = "none"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": mixture * 0.25, "accompaniment": mixture * 0.75}


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, to be found empty in the end.

    Its path is short: sockets of processes are in it, whose paths have at most 107 bytes.
    """
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patched:
        patched.setenv("TMPDIR", folder)
        patched.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def card(folder: Path, code: str = HALVES, **changes: object) -> Path:
    """Write a program and its card; return the path of the card."""
    (folder / "program.py").write_text(textwrap.dedent(code))
    values = {
        "run": [sys.executable, "program.py", "{out}", "{in}"],
        "stems": STEMS,
        "needs": {"version": [sys.executable, "-c", "print('program 1.0')"]},
        **changes,
    }
    path = folder / "card.yaml"
    path.write_text(
        yaml.safe_dump({k: v for k, v in values.items() if v is not None}, sort_keys=False)
    )
    return path


def loaded(path: Path) -> Command:
    separator = Command(Command.Options(file=str(path)))
    runner.load(separator, CPU)
    return separator


def separated(path: Path, samples: int = 9_000, channels: int = 2) -> dict[str, np.ndarray]:
    mixture = noise(channels, samples).numpy()
    return runner.separate(loaded(path), mixture, rate=RATE, device=CPU).stems


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_program_gives_what_the_same_maths_gives_as_a_plugin_to_the_bit(
    tmp_path: Path, temporary: Path, channels: int
) -> None:
    mixture = noise(channels, 9_000).numpy()
    expected = runner.separate(Halves(), mixture, rate=RATE, device=CPU).stems
    made = separated(card(tmp_path), channels=channels)
    assert made.keys() == expected.keys()
    for stem in expected:
        np.testing.assert_array_equal(made[stem], expected[stem])
    assert not list(temporary.iterdir())


def test_ten_songs_start_a_program_once(tmp_path: Path, temporary: Path) -> None:
    path = card(tmp_path, run=[sys.executable, "program.py", "{out}", "{songs}"], batch="folder")
    songs = [noise(2, 1_000 + index, seed=index) for index in range(10)]
    made = list(loaded(path).separate_batch(songs))
    assert (tmp_path / "calls").read_text() == "x"
    for song, stems in zip(songs, made, strict=True):
        assert not isinstance(stems, SepbenchError)
        assert torch.equal(stems["vocals"], song * 0.25)
    assert not list(temporary.iterdir())


@pytest.mark.slow
def test_a_program_that_normalises_is_given_peak_one_and_scaled_back(tmp_path: Path) -> None:
    loud = """
        import sys, pathlib, soundfile
        out, song = map(pathlib.Path, sys.argv[1:])
        samples, rate = soundfile.read(song, dtype="float32")
        peak = abs(samples).max()
        for stem, share in {"vocals": 0.25, "accompaniment": 0.75}.items():
            # Normalised only if above 1, but always multiplied by the peak.
            stems = samples * share * peak if peak <= 1 else samples * share
            soundfile.write(out / f"{stem}.wav", stems, rate, "FLOAT")
    """
    names = {"vocals": "vocals.wav", "accompaniment": "accompaniment.wav"}
    mixture = (0.5 * noise(2, 9_000) / noise(2, 9_000).abs().max()).numpy()
    made = runner.separate(
        loaded(card(tmp_path, loud, stems=names)), mixture, rate=RATE, device=CPU
    )
    assert made.notes == (
        "the stems sum to the song at -6.0 dB: a gain error lowers every score; "
        "if it normalises songs, set 'scale: peak' in a card",
    )
    cured = runner.separate(
        loaded(card(tmp_path, loud, stems=names, scale="peak")), mixture, rate=RATE, device=CPU
    )
    assert cured.notes == ()
    np.testing.assert_allclose(cured.stems["vocals"], 0.25 * mixture, atol=1e-7)


@pytest.mark.parametrize("bit_depth", [16, "24"])
def test_a_song_above_full_scale_is_not_cut_off(tmp_path: Path, bit_depth: int | str) -> None:
    mixture = (2.5 * noise(2, 9_000) / noise(2, 9_000).abs().max()).numpy()
    program = loaded(card(tmp_path, bit_depth=bit_depth))
    made = runner.separate(program, mixture, rate=RATE, device=CPU)
    assert made.notes == ()
    np.testing.assert_allclose(made.stems["vocals"], 0.25 * mixture, atol=1e-4)


def test_a_file_may_have_brackets_in_its_name(tmp_path: Path) -> None:
    code = HALVES.replace('f"{stem}.wav"', 'f"Vö {stem} [1].wav"')
    names = {stem: f"{{track}}/Vö {stem} [1].wav" for stem in STEMS}
    made = separated(card(tmp_path, code, stems=names))
    np.testing.assert_allclose(made["vocals"], 0.25 * noise(2, 9_000).numpy(), atol=1e-6)


def test_what_the_program_does_not_write_is_the_remainder(tmp_path: Path) -> None:
    path = card(tmp_path, stems={"vocals": "{track}/vocals.wav"}, remainder="accompaniment")
    made = separated(path)
    np.testing.assert_array_equal(sum(made.values()), noise(2, 9_000).numpy())


def test_a_command_line_in_brackets_needs_no_file(tmp_path: Path) -> None:
    card(tmp_path)
    line = f"{sys.executable} {tmp_path}/program.py {{out}} {{in}}"
    spec = f"command[run={line},stems=vocals+accompaniment]"
    (method,) = registry.resolve(spec)
    separator = method.create()
    runner.load(separator, CPU)
    mixture = noise(2, 3_000).numpy()
    made = runner.separate(separator, mixture, rate=RATE, device=CPU).stems
    np.testing.assert_array_equal(made["vocals"], mixture * np.float32(0.25))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("run=sep {in},stems=vocals", "run=sep {in}: the command needs {in} and {out}"),
        ("run=sep {out},stems=vocals", "run=sep {out}: the command needs {in} and {out}"),
        ("run=sep {in} {out}", "give its output files, as in stems=vocals+accompaniment"),
        ("run=sep {in} {out},stems=vocals:a.wav+vocals:b.wav", "vocals is named twice"),
        ("run=sep '{in} {out},stems=vocals", "run=sep '{in} {out}: no closing quotation"),
        ("file=a.yaml,preset=umx", "preset and file exclude one another; name a program"),
        ("preset=unix", "choose one of audio-separator, demucs, msst, spleeter, umx"),
    ],
)
def test_a_wrong_command_line_is_one_line(options: str, message: str) -> None:
    with pytest.raises(SepbenchError) as caught:
        registry.resolve(f"command[{options}]")[0].declared.stems  # noqa: B018
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_command_line_in_brackets_has_a_remainder_too(tmp_path: Path) -> None:
    card(tmp_path)
    line = f"{sys.executable} {tmp_path}/program.py {{out}} {{in}}"
    (method,) = registry.resolve(f"command[run={line},stems=vocals,remainder=accompaniment]")
    separator = method.create()
    runner.load(separator, CPU)
    mixture = noise(2, 3_000).numpy()
    made = runner.separate(separator, mixture, rate=RATE, device=CPU).stems
    np.testing.assert_allclose(made["accompaniment"], mixture * np.float32(0.75), atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "changes", "message"),
    [
        ("import sys; print('loading'); sys.exit('no weights here')", {},
         "failed (exit status 1): no weights here"),
        ("import os; os.kill(os.getpid(), 9)", {},
         "program.py failed (SIGKILL, perhaps for lack of memory): it printed nothing"),
        ("import time; time.sleep(60)", {"timeout": 0.3},
         "program.py took longer than 0.3 seconds; raise 'timeout' in its card"),
        ("pass", {}, "wrote no file for vocals (song0000/vocals.wav); it wrote nothing"),
        ("print('ValueError: the model is missing')", {},
         "as the output folder; its last words: ValueError: the model is missing"),
        ("import sys; open(sys.argv[2] + '.vocals.wav', 'w').write('x')", {},
         "it wrote songs/song0000.wav.vocals.wav outside of {out}"),
        (HALVES.replace("    with open", "    target = out / song.stem / 'vocals.wav'\n    "
                        "target.symlink_to(target.rename('elsewhere.wav').resolve())\n    "
                        "with open"), {},
         "song0000/vocals.wav is a link to a file outside of {out}; copy the file there"),
        ("open('elsewhere.wav', 'w').write('x')", {}, "it wrote elsewhere.wav outside of {out}"),
        (HALVES, {"stems": {"vocals": "**/*.wav"}}, "2 files may be its vocals (**/*.wav): "),
        (HALVES, {"stems": {"drums": "drums.wav"}},
         "wrote no file for drums (drums.wav); it wrote song0000/accompaniment.wav, song0000/v"),
        (HALVES.replace(", rate,", ", 22050,"), {},
         "vocals.wav is at 22050 Hz, the song at 44100 Hz; set 'rate: 22050' in a card"),
        (HALVES.replace("samples *", "samples[:-7] *"), {},
         "vocals.wav has 8993 samples, the song 9000; 'tolerance: 7' in a card would cut or pad"),
        (HALVES.replace("samples *", "samples.repeat(9, 0) *"), {},
         "vocals.wav has 81000 samples, the song 9000; has the program stopped early?"),
        (HALVES.replace("samples *", "samples.repeat(3, 1) *"), {},
         "vocals.wav has 6 channels, the song 2; it may write 1 or 2"),
        (HALVES.replace("samples *", "samples[:, 0] *"), {},
         "vocals.wav has 1 channels, the song 2; set 'channels: 1' in a card"),
        (HALVES.replace("* share", "* float('nan')"), {}, "returned NaN or infinity in vocals"),
        (HALVES.replace('"FLOAT")', '"FLOAT"); (out / song.stem / "vocals.wav").write_text("x")'),
         {}, "vocals.wav cannot be read as audio: format not recognised; name another file under"),
        ("open('vocal.wav', 'w').write('x')", {},
         "it wrote vocal.wav outside of {out}; put {out} into 'run' as the output folder"),
        ("import sys; open(sys.argv[1] + '/v.wav', 'w').write('x')", {},
         "it wrote v.wav; name its file under 'stems', or vocals as 'remainder'"),
        ("import sys; sys.exit(f'no model in {sys.argv[1]}/models')", {},
         "failed (exit status 1): no model in out/models"),
    ],
)  # fmt: skip
def test_a_program_that_does_wrong_is_one_line(
    tmp_path: Path, temporary: Path, code: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SepbenchError) as caught:
        separated(card(tmp_path, code, **changes))
    assert message in str(caught.value)
    assert str(caught.value).startswith("method command")
    assert "\n" not in str(caught.value)
    assert not list(temporary.iterdir())


def test_of_what_a_program_prints_only_the_end_is_kept(tmp_path: Path, temporary: Path) -> None:
    code = """
        import os, sys, pathlib, time
        for _ in range(64):
            sys.stdout.write("x" * (1 << 20))
        sys.stdout.flush()
        kept = sum(path.stat().st_size for path in pathlib.Path().rglob("*") if path.is_file())
        sys.exit(f"files: {kept} bytes")
    """
    with pytest.raises(SepbenchError, match=r"files: (\d+) bytes$") as caught:
        separated(card(tmp_path, code))
    # The song alone: 9000 samples of two channels.
    assert int(str(caught.value).split()[-2]) < 80_000


def test_an_argument_may_be_longer_than_a_file_name(tmp_path: Path) -> None:
    long = "anull;" * 100
    line = f"{sys.executable} {long} {{in}} {{out}}"
    (method,) = registry.resolve(f"command[run={line},stems=vocals,checkpoint={long}]")
    assert method.create().card.run[1] == long
    assert method.create().provenance["files"] == {}


@pytest.mark.slow
def test_a_program_may_change_its_copy_of_the_song(tmp_path: Path) -> None:
    for change in ("song.unlink()", "soundfile.write(song, samples * 0.1, rate)"):
        code = HALVES.replace("with open", f"{change}\n    with open")
        mixture = noise(2, 9_000).numpy()
        made = runner.separate(loaded(card(tmp_path, code)), mixture, rate=RATE, device=CPU)
        np.testing.assert_array_equal(sum(made.stems.values()), mixture)
        assert made.notes == ()


def test_a_program_sees_no_gpu_when_it_is_to_compute_on_the_cpu(tmp_path: Path) -> None:
    code = (
        HALVES + "    import os; assert os.environ['CUDA_VISIBLE_DEVICES'] == os.environ['SEEN']\n"
    )
    separated(card(tmp_path, code, environment={"SEEN": ""}))
    separated(card(tmp_path, code, environment={"SEEN": "1", "CUDA_VISIBLE_DEVICES": "1"}))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes by /proc")
@pytest.mark.parametrize("session", [False, True])
def test_what_a_program_has_started_ends_with_it(tmp_path: Path, session: bool) -> None:
    code = f"""
        import subprocess, sys, pathlib
        child = subprocess.Popen(["sleep", "60"], start_new_session={session})
        pathlib.Path(__file__).with_name("child").write_text(str(child.pid))
    """
    with pytest.raises(SepbenchError, match="wrote nothing"):
        separated(card(tmp_path, code))
    assert not _runs(int((tmp_path / "child").read_text()))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the memory of programs is not known")
def test_the_memory_of_a_program_counts(tmp_path: Path) -> None:
    greedy = HALVES.replace("import", "ballast = b'x' * 300_000_000\n    import", 1)
    mixture = noise(2, 9_000).numpy()
    made = runner.separate(loaded(card(tmp_path, greedy)), mixture, rate=RATE, device=CPU)
    assert made.peak_bytes > 300_000_000


def test_a_stem_that_is_some_samples_short_is_padded_where_the_card_says_so(tmp_path: Path) -> None:
    made = separated(card(tmp_path, HALVES.replace("samples *", "samples[:-7] *"), tolerance=16))
    np.testing.assert_array_equal(made["vocals"][:, -7:], 0)
    assert made["vocals"].shape == (2, 9_000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sclae": "peak"}, "card.yaml: no key 'sclae'; did you mean 'scale'?"),
        ({"scale": "loud"}, "card.yaml: scale: expected one of none, peak, not 'loud'"),
        ({"run": "demucs {in}"}, "card.yaml: run: expected a list, not 'demucs {in}'"),
        ({"run": None}, "card.yaml: run is missing"),
        ({"run": ["x", "{inn}"]}, "no placeholder 'inn'; did you mean 'in'?"),
        (
            {"run": ["x", "{zzz}"]},
            "no placeholder 'zzz'; there are here, python, program, model, config, checkpoint, "
            "folder, in, songs, out, track, device, threads",
        ),
        ({"run": ["x", "{model}"]}, "card.yaml: {model} has no value; give model=VALUE"),
        ({"rate": "fast"}, "card.yaml: rate: expected a whole number, not 'fast'"),
        ({"rate": 0}, "card.yaml: rate: must be at least 1000, not 0"),
        ({"timeout": -1}, "card.yaml: timeout: must be at least 0.001, not -1"),
        ({"tolerance": -1}, "card.yaml: tolerance: must be at least 0, not -1"),
        ({"stems": {}}, "'run' and 'stems' must not be empty"),
        ({"stems": {"vocals": "/etc/*.wav"}}, "stems: vocals: '/etc/*.wav': write a file or a"),
        ({"stems": {"vocals": ""}}, "stems: vocals: '': write a file or a pattern below {out}"),
        ({"stems": {"vocals": "**.wav"}}, "stems: vocals: '**.wav': write a file or a pattern"),
        ({"stems": {"vocals": "."}}, "stems: vocals: '.': write a file or a pattern below {out}"),
        ({"stems": {"vocals": "../songs/*.wav"}}, "stems: vocals: '../songs/*.wav': write a file"),
        ({"models": {"x": {"stem": 1}}, "defaults": {"model": "x"}}, "did you mean 'stems'?"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SepbenchError) as caught:
        loaded(card(tmp_path, **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_program_that_is_missing_is_named_with_its_cure() -> None:
    (method,) = registry.resolve("command[preset=demucs,program=/nowhere/demucs]")
    with pytest.raises(SepbenchError, match=r"needs the program /nowhere/demucs.*pipx install dem"):
        runner.load(method.create(), CPU)
    assert method.identity["provenance"]["version"] is None


def test_without_a_program_it_says_how_to_name_one() -> None:
    entry = registry.plugin("command")
    assert not entry.broken
    assert "name a program: command[preset=demucs]" in (entry.reason or "")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_whole(preset: str) -> None:
    spec = f"command[preset={preset},folder=msst,config=c.yaml,checkpoint=c.ckpt]"
    (method,) = registry.resolve(spec)
    separator = method.create()
    assert "vocals" in separator.stems
    assert separator.needs[0].install
    assert separator.citation != "not stated"


def test_the_other_of_msst_is_the_accompaniment() -> None:
    made = Command(Command.Options(preset="msst", folder="f", config="c", checkpoint="w"))
    assert made.card.stems == {
        "vocals": "{track}/vocals.wav",
        "accompaniment": "{track}/other.wav",
    }


def test_models_may_be_numbers(tmp_path: Path) -> None:
    run = ["python", "{model}", "{config}", "{in}", "{out}"]
    models = {4: {"remainder": "rest"}, "big": {"defaults": {"config": 7}}}
    path = card(tmp_path, run=run, defaults={"model": 4, "config": 1}, models=models)
    for option, words, stems in (("", ("4", "1"), 3), (",model=big", ("big", "7"), 2)):
        (method,) = registry.resolve(f"command[file={path}{option}]")
        made = method.create()
        assert made.card.run[1:3] == words
        assert len(made.stems) == stems
        assert method.identity["provenance"]["card"]


def test_a_model_of_a_preset_may_have_other_stems() -> None:
    six = Command(Command.Options(preset="demucs", model="htdemucs_6s"))
    assert six.stems == ("vocals", "drums", "bass", "other", "guitar", "piano")
    assert six.card.run[:3] == ("demucs", "-n", "htdemucs_6s")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("demucs") is None, reason="the program demucs is not installed")
def test_the_program_demucs_does_what_its_preset_says(temporary: Path) -> None:
    options = Command.Options(preset="demucs", model="demucs_unittest")  # Needs no download.
    separator = Command(options)
    runner.load(separator, CPU)
    first, second = separator.separate_batch([noise(2, 44_100), noise(2, 30_000, seed=1)])
    assert not isinstance(first, SepbenchError)
    assert not isinstance(second, SepbenchError)
    assert set(first) == {"vocals", "drums", "bass", "other"}
    assert second["vocals"].shape == (2, 30_000)
    assert not list(temporary.iterdir())


def test_whatever_changes_the_program_changes_its_identity(tmp_path: Path) -> None:
    def identity() -> dict[str, object]:
        (method,) = registry.resolve(f"command[file={path}]")
        return method.identity

    path = card(tmp_path)
    before = identity()
    assert before == identity()
    assert before["provenance"]["version"] == "program 1.0"  # type: ignore[index]
    assert "program.py" in before["provenance"]["files"]  # type: ignore[index]
    (tmp_path / "program.py").write_text("other")
    after = identity()
    assert after["provenance"]["files"] != before["provenance"]["files"]  # type: ignore[index]
    card(tmp_path, scale="peak")
    assert identity()["provenance"]["card"] != before["provenance"]["card"]  # type: ignore[index]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    weights = ("voice/weights.txt", "drums/weights.txt")
    path = card(tmp_path, files=[weights[1]], run=["python", weights[0], "{in}", "{out}"])
    for name in weights:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)

    def digests() -> dict[str, str]:
        (method,) = registry.resolve(f"command[file={path}]")
        found: dict[str, str] = method.identity["provenance"]["files"]
        return found

    before = digests()
    assert before.keys() == set(weights)
    for name in weights:
        (tmp_path / name).write_text("changed")
        assert digests()[name] != before[name]


def test_a_file_within_an_argument_is_part_of_the_identity(tmp_path: Path) -> None:
    path = card(tmp_path, run=["python", "p.py", "--weights={checkpoint}", "{in}", "{out}"])
    weights = tmp_path / "w.ckpt"

    def digests() -> object:
        spec = f"command[file={path},checkpoint={weights}]"
        return registry.resolve(spec)[0].identity["provenance"]["files"]

    weights.write_text("one")
    before = digests()
    weights.write_text("another")
    assert digests() != before


def test_files_are_named_as_in_the_card_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = card(tmp_path, run=["python", "{here}/program.py", "{checkpoint}", "{in}", "{out}"])
    (tmp_path / "w.ckpt").touch()
    monkeypatch.chdir(tmp_path)
    separator = Command(Command.Options(file=str(path), checkpoint="w.ckpt"))
    assert separator.provenance["files"].keys() == {"{here}/program.py", "{checkpoint}"}


def test_paths_in_options_are_those_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards, here = tmp_path / "cards", tmp_path / "here"
    for folder in (cards, here / "bin", here / "md", here / "sources"):
        folder.mkdir(parents=True)
    for file in (here / "bin" / "mysh", here / "w.ckpt", cards / "w.ckpt", cards / "c.yaml"):
        file.touch()
    run = ["x", "{folder}/run.py", "{checkpoint}", "{config}", "{model}", "{in}", "{out}"]
    path = card(cards, run=run, environment={"PYTHONPATH": "{folder}"})
    monkeypatch.chdir(here)
    options = Command.Options(
        file=str(path),
        program="bin/mysh",
        folder="md",
        checkpoint="w.ckpt",
        config="c.yaml",
        model="sources",
    )
    made = Command(options).card
    assert made.run[:5] == (
        str(here / "bin/mysh"),
        str(here / "md/run.py"),
        str(here / "w.ckpt"),
        str(cards / "c.yaml"),  # It is beside the card alone.
        "sources",  # A model's name, which a folder has by chance.
    )
    assert made.environment == {"PYTHONPATH": str(here / "md")}
    assert made.needs.program == made.run[0]


def test_paths_in_options_may_be_those_beside_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards, here = tmp_path / "cards", tmp_path / "here"
    (cards / "models").mkdir(parents=True)
    here.mkdir()
    for name in ("tool", "w.ckpt"):
        (cards / name).touch()
    run = ["x", "--dir", "{folder}", "--weights={checkpoint}", "{in}", "{out}"]
    path = card(cards, run=run)
    monkeypatch.chdir(here)
    options = Command.Options(file=str(path), program="tool", folder="models", checkpoint="w.ckpt")
    made = Command(options).card
    weights = f"--weights={cards / 'w.ckpt'}"
    assert made.run[:4] == (str(cards / "tool"), "--dir", str(cards / "models"), weights)
    assert made.needs.program == made.run[0]


def test_the_version_comes_from_the_interpreter_of_the_program(tmp_path: Path) -> None:
    program = tmp_path / "tool"
    program.write_text(f"#!{sys.executable}\n")
    program.chmod(0o755)
    tool = card(
        tmp_path,
        run=[str(program), "{in}", "{out}"],
        needs={
            "program": str(program),
            "version": ["#!python", "-c", "import sys; print(sys.executable)"],
        },
    )
    assert version(loaded(tool).card) == sys.executable


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills by signals")
@pytest.mark.parametrize(
    ("words", "killed"),
    [
        (("separate", "song.wav", "-o", "out"), signal.SIGINT),
        (("separate", "song.wav", "-o", "out"), signal.SIGKILL),
        (("evaluate", *ONE_SONG, "-o", "out"), signal.SIGTERM),
        (("evaluate", *ONE_SONG, "-o", "out"), signal.SIGKILL),
    ],
)
def test_nothing_stays_behind_when_it_is_stopped_or_killed(
    tmp_path: Path, temporary: Path, words: tuple[str, ...], killed: signal.Signals
) -> None:
    code = """
        import os, pathlib, subprocess, sys, time, numpy, soundfile
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        soundfile.write(sys.argv[1] + "/vocals.wav", numpy.zeros((9, 2)), 44100)
        pathlib.Path(__file__).with_name("pids").write_text(f"{os.getpid()} {child.pid}.")
        time.sleep(60)
    """
    method = f"command[file={card(tmp_path, code)}]"
    soundfile.write(tmp_path / "song.wav", noise(2, 9_000).numpy().T, RATE)
    process = subprocess.Popen(
        interruptible(*words, "-m", method), cwd=tmp_path, stderr=subprocess.PIPE
    )
    pids = tmp_path / "pids"
    _wait(lambda: process.poll() is not None or pids.exists(), seconds=120)
    _wait(lambda: pids.read_text().endswith("."))
    assert list(temporary.glob("sepbench-command-*"))
    process.send_signal(killed)
    said = process.communicate()[1].decode()
    if killed == signal.SIGKILL:
        _wait(lambda: not list(temporary.glob("sepbench-command-*")))
    else:
        assert process.returncode == 128 + killed
        assert said == "stopped; the same command resumes\n"
        assert not list(temporary.iterdir())
    for pid in pids.read_text()[:-1].split():
        _wait(lambda pid=pid: not _runs(int(pid)))
    assert own_folder(temporary, "sepbench-workers")  # As the next run does.
    assert not list(temporary.iterdir())
    left = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    # Hidden files of a killed process are removed by the next run.
    assert {name for name in left if not name.endswith(".part")} <= {"run.json", ".lock"}


@pytest.mark.skipif(os.name == "nt", reason="locks of files are of POSIX")
def test_what_killed_guards_left_is_removed_by_the_next(tmp_path: Path, temporary: Path) -> None:
    import fcntl

    path = card(tmp_path)
    names = ("abandoned", "in_use", "new")
    abandoned, in_use, new = (temporary / f"sepbench-command-{name}" for name in names)
    for folder in (abandoned, in_use, new):
        (folder / "songs").mkdir(parents=True)
    for folder in (abandoned, in_use):
        os.utime(folder, (0, 0))
    lock = os.open(in_use, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    separated(path)
    os.close(lock)
    assert {folder.name for folder in temporary.iterdir()} == {in_use.name, new.name}


def _runs(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _wait(condition: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_methods_says_which_version_of_a_program_is_here(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from sepbench.cli.main import main

    result = CliRunner().invoke(main, ["methods", f"command[file={card(tmp_path)}]"])
    assert "version:    program 1.0" in result.output
    assert "trained on: unknown" in result.output
    stated = CliRunner().invoke(main, ["methods", f"command[file={card(tmp_path, trained_on=[])}]"])
    assert "trained on: nothing: no training" in stated.output
    result = CliRunner().invoke(main, ["methods", "command[preset=umx,program=nowhere]"])
    assert "not available: needs the program nowhere" in result.output


def test_facts_are_json(tmp_path: Path) -> None:
    (method,) = registry.resolve(f"command[file={card(tmp_path, trained_on=['musdb18/train'])}]")
    assert json.dumps(method.identity)
    assert method.create().trained_on == ("musdb18/train",)
