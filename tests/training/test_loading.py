"""Workers that make batches: what they print when the parent is stopped."""

from __future__ import annotations

import subprocess
import sys

import pytest

HANDING_OVER = """
import socket, sys, time
from multiprocessing.resource_sharer import DupFd
from sepbench.training import loading

if sys.argv[1] == "worker":
    loading._leave_stopping_to_the_parent(0)
address, _ = DupFd(1)._id
parent = socket.socket(socket.AF_UNIX)
parent.connect(address)
parent.recv(4)  # the first bytes of the challenge
parent.close()
time.sleep(0.5)
if sys.argv[2:]:
    sys.excepthook(ValueError, ValueError("another error"), None)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors are not shared there")
def test_a_worker_says_nothing_if_the_parent_stops_while_it_takes_a_batch() -> None:
    def told(*words: str) -> str:
        script = [sys.executable, "-c", HANDING_OVER, *words]
        return subprocess.run(script, capture_output=True, text=True, check=True).stderr

    assert "Traceback" in told("as Python does")
    assert told("worker") == ""
    assert told("worker", "another").strip() == "ValueError: another error"
