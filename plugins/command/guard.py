"""Starts a program in a folder of its own, and removes both when whoever asked for them is gone.

Run as a script by `running.Guard`, with the standard library alone so that it starts in hundredths
of a second. It reads one line of JSON, answers with one, and ends when its input does: it is closed
by a parent that is done, and by the operating system for one that was killed.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading


def main(folder: str) -> None:
    """Serve one parent; then leave neither a process nor a file behind."""
    program: list[subprocess.Popen[bytes]] = []
    line = sys.stdin.readline()
    ended = threading.Thread(target=_wait_for_parent, args=(program, folder), daemon=True)
    ended.start()
    if line:
        answer = json.dumps(_run(json.loads(line), program))
        with contextlib.suppress(OSError):  # Nobody listens any more.
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()
    ended.join()


def _run(task: dict, program: list) -> dict:  # type: ignore[type-arg]
    with open(task["log"], "wb") as log:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's program
                task["run"],
                cwd=task["cwd"],
                env={**os.environ, **task["environment"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return {"error": error.strerror or str(error)}
        program.append(process)
        try:
            return {"status": process.wait(task["timeout"])}
        except subprocess.TimeoutExpired:
            return {"timeout": True}
        finally:
            _kill(process)


def _wait_for_parent(program: list, folder: str) -> None:  # type: ignore[type-arg]
    sys.stdin.read()
    for process in program:
        _kill(process)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all that it started."""
    try:
        if os.name == "nt":
            command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
            subprocess.run(command, capture_output=True)  # noqa: S603
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # It has ended, and nothing of it is left.
    process.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(sys.argv[1])
