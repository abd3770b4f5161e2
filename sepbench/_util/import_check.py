"""Tries imports in a separate process, as an import may hang or kill its process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

TIMEOUT = 20.0
"""Seconds for all imports together; torch takes a few."""

_PROGRAM = """
import importlib, json, os, sys
told, (sys.path[:], places, facts) = os.fdopen(os.dup(1), "w"), json.load(sys.stdin)
os.dup2(2, 1)
for place in places:
    print(place, file=told, flush=True)
    module, _, path = place.partition(":")
    try:
        found = importlib.import_module(module)
        for part in filter(None, path.split(".")):
            found = getattr(found, part)
        made = found() if path else None
        for fact in facts:
            try:
                getattr(made, fact, None)
            except (Exception, SystemExit):
                pass
    except (Exception, SystemExit):
        pass
    except BaseException as error:
        print("!" + type(error).__name__, file=told, flush=True)
        os._exit(0)
print(".", file=told, flush=True)
os._exit(0)
"""
"""Prints each module before importing it; output and threads of plugins are ignored."""


def failures(
    places: Iterable[str], facts: Sequence[str] = (), *, seconds: float = TIMEOUT
) -> dict[str, str]:
    """Return the places whose import hangs or kills the process, with a description of how.

    A place is a ``module``, or the ``module:Class`` of a plugin, which is then also instantiated
    and asked for its attributes ``facts``, which may be properties that run code.
    Ordinary exceptions do not count. Modules that are already imported are not tried.
    """
    found: dict[str, str] = {}
    pending = [
        place for place in dict.fromkeys(places) if place.partition(":")[0] not in sys.modules
    ]
    while pending and sys.executable:
        last, reason = _try(pending, facts, seconds)
        if last not in pending:
            break
        found[last] = reason
        pending = pending[pending.index(last) + 1 :]
    return found


def _try(places: list[str], facts: Sequence[str], seconds: float) -> tuple[str, str]:
    """Import places one after the other; return the last one started, and how it ended."""
    import subprocess

    from sepbench._util.process import describe_exit

    flags = ["-S"] if sys.flags.no_site else []
    process = subprocess.Popen(  # noqa: S603 - our own program, in our own Python
        [sys.executable, *flags, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(json.dumps([sys.path, places, list(facts)]), timeout=seconds)
        reason = f"kills its process ({describe_exit(process.returncode)})"
    except subprocess.TimeoutExpired:
        process.kill()
        told, _ = process.communicate()
        reason = f"does not finish in {seconds:g} seconds"
    *_, last = ["", *told.split()]
    if last.startswith("!"):
        return told.split()[-2], f"raises {last[1:]}"
    return last, reason
