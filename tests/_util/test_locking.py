from __future__ import annotations

import subprocess
import sys
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
