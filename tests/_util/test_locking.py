from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sepbench._util.locking import locked

WAITING = (
    "import sys\n"
    "from pathlib import Path\n"
    "from sepbench._util.locking import locked\n"
    "print('asks', flush=True)\n"
    "with locked(Path(sys.argv[1])):\n"
    "    print('has it', flush=True)\n"
)


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody waits")
@pytest.mark.slow
def test_a_process_waits_for_the_lock_of_another(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    command = [sys.executable, "-c", WAITING, str(path)]
    with locked(path), subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"asks\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        other.kill()
    with locked(path):  # Who is killed keeps nothing.
        pass
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"asks\nhas it\n"


def test_a_folder_without_locks_can_be_used(tmp_path: Path) -> None:
    with locked(tmp_path / "no such folder" / ".lock"):
        assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locked(path):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
    try:
        began = time.monotonic()
        with locked(path):
            assert time.monotonic() - began < 5
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody waits")
def test_a_lock_that_may_only_be_read_is_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    path, real = tmp_path / ".lock", os.open

    def opened(file: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError
        return real(file, flags, mode)

    path.touch()
    monkeypatch.setattr(os, "open", opened)
    with locked(path), path.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
