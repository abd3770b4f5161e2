from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
from sepbench._util.allocator import keep_freed_memory, trim_memory

if sys.argv[1] == "kept":
    keep_freed_memory()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

for _ in range(3):
    b"x" * 50_000_000
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    b"x" * 50_000_000
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
held = resident()
trim_memory()
print(faults, held - resident())
"""


def faults_and_given_back(how: str) -> tuple[int, int]:
    words = [sys.executable, "-c", _FAULTS, how]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    faults, given_back = map(int, done.stdout.split())
    return faults, given_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_freed_memory_is_used_again_and_given_back_when_asked() -> None:
    faults, given_back = faults_and_given_back("kept")
    assert faults < 100
    assert given_back > 40e6
    usual, _ = faults_and_given_back("usual")
    assert usual > 10_000
