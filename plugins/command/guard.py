"""Runs a program in a temporary folder, and removes both when the parent process has ended.

Run as a script by `running.Guard`, with only the standard library so that it starts in hundredths
of a second. It reads one line of JSON, answers with one, and ends when its input is closed: by the
parent, or by the operating system if the parent was killed.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

_SET_CHILD_SUBREAPER = 36
"""``PR_SET_CHILD_SUBREAPER`` of Linux: orphans below this process become its children."""

_NEW_SECONDS = 60

_TAIL = 4000
"""Bytes of a program's output that are kept, for its error message."""

_END_SECONDS = 1.0
"""Time to read the rest of it; what left a program's session holds it open on some systems."""


def main(folder: str) -> None:
    """Serve one parent; then remove all processes and files."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # Other systems have no such.
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _lock(folder)
    _remove_abandoned(folder)
    program: list[subprocess.Popen[bytes]] = []
    line = sys.stdin.readline()
    ended = threading.Thread(target=_wait_for_parent, args=(program, folder), daemon=True)
    ended.start()
    if line:
        answer = json.dumps(_run(json.loads(line), program))
        with contextlib.suppress(OSError):  # The parent has ended.
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()
    ended.join()


def _lock(folder: str) -> bool:
    """Lock a folder until this process ends; return whether no other process has locked it."""
    try:
        import fcntl

        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):  # Not on Windows, nor on every file system.
        return False
    return True


def _remove_abandoned(own: str) -> None:
    """Remove the folders of guards that were killed, as when the power fails."""
    prefix = os.path.basename(own).rpartition("-")[0]
    for entry in os.scandir(os.path.dirname(own)):
        with contextlib.suppress(OSError):
            # A new folder is not locked yet.
            is_old = time.time() - entry.stat().st_mtime > _NEW_SECONDS
            if entry.name.startswith(f"{prefix}-") and is_old and _lock(entry.path):
                shutil.rmtree(entry.path, ignore_errors=True)


def _run(task: dict, program: list) -> dict:  # type: ignore[type-arg]
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's program
            task["run"],
            cwd=task["cwd"],
            env={**os.environ, **task["environment"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return {"error": error.strerror or str(error)}
    program.append(process)
    said = bytearray()
    reader = threading.Thread(target=_keep_tail, args=(process, said), daemon=True)
    reader.start()
    try:
        answer = {"status": process.wait(task["timeout"]), "peak_bytes": _peak_bytes()}
    except subprocess.TimeoutExpired:
        answer = {"timeout": True}
    finally:
        _kill(process)
    reader.join(_END_SECONDS)
    return {**answer, "said": said.decode(errors="replace")}


def _keep_tail(process: "subprocess.Popen[bytes]", said: bytearray) -> None:
    """Read what a program prints, and keep only its end: a file of it all could fill the disk."""
    assert process.stdout is not None  # noqa: S101 - for the type checker
    while piece := os.read(process.stdout.fileno(), 1 << 16):
        said += piece
        del said[:-_TAIL]


def _wait_for_parent(program: list, folder: str) -> None:  # type: ignore[type-arg]
    sys.stdin.read()
    for process in program:
        _kill(process)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _peak_bytes() -> int:
    """Return the memory of the largest of the processes that have ended."""
    try:
        import resource
    except ImportError:  # Not on Windows.
        return 0
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all that it started, also what has left its session."""
    try:
        if os.name == "nt":
            command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
            subprocess.run(command, capture_output=True)  # noqa: S603
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # It has ended, and nothing of its session is left.
    process.wait()
    for _ in range(100):
        left = _descendants()
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return
        with contextlib.suppress(OSError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _descendants() -> list[int]:
    """Return the descendants of this process; only Linux lists them, in ``/proc``."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(sys.argv[1])
