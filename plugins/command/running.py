"""Runs a program on songs through temporary files."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench.errors import SepbenchError

from .card import Card, filled_at_run
from .files import NoFileError, Song, read_stems, write_song

if TYPE_CHECKING:
    import torch


def run(
    card: Card,
    mixtures: Iterable[torch.Tensor],
    *,
    device: str,
    note: Callable[[str], None] = lambda text: None,
    used: Callable[[int], None] = lambda peak_bytes: None,
) -> Iterator[Mapping[str, torch.Tensor] | SepbenchError]:
    """Run a program once for all songs; yield the stems of each, in order.

    If the files of a song are not as the card says, it yields the error instead. ``note`` is called
    with each remark on the stems, ``used`` with the bytes of memory of the program's largest
    process. Raises `SepbenchError` for a program that fails.

    Shape:
        each of the mixtures and stems: ``(channels, samples)``.
    """
    with _guarded() as (guard, folder):
        songs_folder, out = folder / "songs", folder / "out"
        songs_folder.mkdir()
        out.mkdir()
        songs = [
            write_song(card, mixture, songs_folder / f"song{index:04d}.wav")
            for index, mixture in enumerate(mixtures)
        ]
        answer = _start(guard, folder, card, songs, device)
        used(int(answer["peak_bytes"]))
        for index in range(len(songs)):
            made: Mapping[str, torch.Tensor] | SepbenchError
            try:
                made = read_stems(card, songs, index, out, note)
            except NoFileError as error:
                # Many programs print an error but exit with status 0.
                words = _last_words(answer["said"], folder)
                made = SepbenchError(f"{error}; its last words: {words}") if words else error
            except SepbenchError as error:
                made = error
            yield made


def _start(
    guard: subprocess.Popen[str], folder: Path, card: Card, songs: Sequence[Song], device: str
) -> dict[str, Any]:
    """Have a guard run the program, wait for it, and return its peak of memory and last output."""
    import torch

    values = {
        "in": str(songs[0].path if card.batch == "file" else folder / "songs"),
        "out": str(folder / "out"),
        "track": songs[0].path.stem,
        "device": device,
        "threads": str(torch.get_num_threads()),
    }
    words: list[str] = []
    for word in card.run:
        words += (
            [str(song.path) for song in songs]
            if word == "{songs}"
            else [filled_at_run(word, values)]
        )
    # Programs without an option for the device would use a GPU if there is one.
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    own = {name: filled_at_run(value, values) for name, value in card.environment.items()}
    task = {
        "run": words,
        "cwd": str(folder),
        "timeout": card.timeout,
        "environment": hidden | own,
    }
    answer = _ask(guard, task)
    program = _called(card)
    if answer.get("timeout"):
        raise SepbenchError(
            f"{program} took longer than {card.timeout:g} seconds; raise 'timeout' in its card"
        )
    if "error" in answer:
        raise SepbenchError(f"{program} cannot be started: {answer['error'].lower()}")
    if answer["status"] != 0:
        said = _last_words(answer["said"], folder) or "it printed nothing"
        raise SepbenchError(f"{program} failed ({_exit(answer['status'])}): {said}")
    return answer


def _called(card: Card) -> str:
    """Return the name of a program for messages: for a script its own, not the interpreter's."""
    first, others = Path(card.run[0]).name, [Path(word).name for word in card.run[1:]]
    is_script = first.startswith("python") and others and not others[0].startswith("-")
    return others[0] if is_script else first


def _exit(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name if -status in [*signal.Signals] else f"signal {-status}"
    return f"{name}, perhaps for lack of memory" if name == "SIGKILL" else name


def _ask(guard: subprocess.Popen[str], task: Mapping[str, Any]) -> dict[str, Any]:
    assert guard.stdin is not None  # noqa: S101 - for the type checker
    assert guard.stdout is not None  # noqa: S101
    with suppress(BrokenPipeError):
        guard.stdin.write(json.dumps(task) + "\n")
        guard.stdin.flush()
    line = guard.stdout.readline()
    if not line:
        raise SepbenchError("the process that watches the program was killed; try again")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _last_words(said: str, folder: Path) -> str:
    """Return the last line of a program's output, empty if it has none.

    Paths in the temporary folder are made relative to it, as the folder means nothing to a user.
    """
    lines = said.replace("\r", "\n").splitlines()
    last = next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
    return last.replace(f"{folder}/", "")


@contextmanager
def _guarded() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a guard with a new temporary folder; both are always removed afterwards.

    The folder of a guard that was killed too is removed by the next one.
    """
    folder = Path(tempfile.mkdtemp(prefix="sepbench-command-"))
    script = Path(__file__).with_name("guard.py")
    guard = subprocess.Popen(  # noqa: S603 - our own script, in our own Python
        [sys.executable, "-I", "-S", str(script), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield guard, folder
    finally:
        assert guard.stdin is not None  # noqa: S101 - for the type checker
        assert guard.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):
            guard.stdin.close()
        guard.wait()
        guard.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)  # If the guard itself was killed.
