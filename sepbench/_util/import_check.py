"""Tries imports in a process of their own: one may hang, or end the process that it happens in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

TIMEOUT = 10.0
"""How long all imports that are tried together may take; those of torch come to a few seconds."""

_PROGRAM = """
import importlib, json, os, sys
told, sys.path[:], modules = os.fdopen(os.dup(1), "w"), *json.load(sys.stdin)
os.dup2(2, 1)
for module in modules:
    print(module, file=told, flush=True)
    try:
        importlib.import_module(module)
    except BaseException:
        pass
print(".", file=told, flush=True)
os._exit(0)
"""
"""Tells of each import before it begins; what plugins print, and leave running, is not heard of."""


def failures(modules: Iterable[str], *, seconds: float = TIMEOUT) -> dict[str, str]:
    """Return the modules that cannot be imported without harm, and in words what their import does.

    One that raises does no harm. Those that are imported already are not tried.
    """
    found: dict[str, str] = {}
    pending = [module for module in dict.fromkeys(modules) if module not in sys.modules]
    while pending and sys.executable:
        last, fate = _try(pending, seconds)
        if last not in pending:
            break
        found[last] = fate
        pending = pending[pending.index(last) + 1 :]
    return found


def _try(modules: list[str], seconds: float) -> tuple[str, str]:
    """Import modules one after the other; return the last that was begun, and how it ended."""
    import subprocess

    from sepbench._util.process import describe_exit

    flags = ["-S"] if sys.flags.no_site else []
    process = subprocess.Popen(  # noqa: S603 - our own program, in our own Python
        [sys.executable, *flags, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        told, _ = process.communicate(json.dumps([sys.path, modules]), timeout=seconds)
        fate = f"ends the process it happens in ({describe_exit(process.returncode)})"
    except subprocess.TimeoutExpired:
        process.kill()
        told, _ = process.communicate()
        fate = f"does not come to an end in {seconds:g} seconds"
    return (told.split() or [""])[-1], fate
