"""Plugins that would hurt their neighbours: at import, when loaded, and while they separate."""

from __future__ import annotations

import json
import math
import random
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import Calm
from hostile import SEPARATORS

from sepbench._util import entry_points
from sepbench._util.import_check import failures
from sepbench._util.process import WorkerDied
from sepbench.errors import SepbenchError
from sepbench.evaluation import run as evaluation
from sepbench.evaluation.run import RunConfig
from sepbench.evaluation.store import Settings, Store
from sepbench.inference.workers import SeparatorWorker
from sepbench.registry import GROUP, describe, validate, variant
from sepbench.registry.facts import FACTS
from sepbench.separator import SampleCount

from .small import TRACKS, method, rows
from .trying import Tally, hostile, times

pytestmark = pytest.mark.drill

TIMEOUT = 30.0
"""Seconds; on a busy machine the processes alone take some to begin."""


def calm(store: Store) -> list[str]:
    """Return the rows of the good method."""
    return [row for row in rows(store).splitlines() if ",calm," in row]


def test_plugins_beside_others_in_evaluate(
    tally: Tally, draw: random.Random, tmp_path: Path
) -> None:
    """A hostile method costs its own rows; those of the method after it are as they were."""
    whole = Store.create(tmp_path / "right", Settings("noise", "test"))
    evaluation.run(TRACKS[:1], [method(Calm)], whole, RunConfig())
    right = calm(whole)
    names = sorted(SEPARATORS)
    for number in times(2 * len(names)):
        name = names[number % len(names)]
        store = Store.create(tmp_path / str(number), Settings("noise", "test"))
        methods = [method(SEPARATORS[name]), method(Calm)]
        plan = RunConfig(timeout=TIMEOUT, jobs=draw.choice([1, 1, 2]))
        fault = None
        try:
            records = evaluation.run(TRACKS[:1], methods, store, plan)
            if len(records) != 2:
                fault = f"{name}: {len(records)} rows"
            elif calm(store) != right:
                fault = f"{name}: other rows beside it"
            elif any("\n" in (record.error or "") for record in records):
                fault = f"{name}: an error of several lines"
        except BaseException as error:
            fault = f"{name}: {type(error).__name__}: {error}"
        tally.note(fault)


def test_plugins_in_separate(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    audio = TRACKS[0].load()
    names = sorted(SEPARATORS)
    for number in times(len(names)):
        name = names[number % len(names)]
        worker = SeparatorWorker(method(SEPARATORS[name]), "cpu", timeout=TIMEOUT)

        def separate(worker: SeparatorWorker = worker) -> None:
            try:
                list(worker.stream([audio.mixture], audio.rate))
            except WorkerDied as death:
                raise SepbenchError(str(death)) from None
            finally:
                worker.stop()

        hostile(tally, separate, name)


IMPORTS = {
    "raises": "raise ValueError('odd')",
    "exits": "import sys; sys.exit(0)",
    "ends": "import os; os._exit(0)",
    "dies": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "interrupts": "raise KeyboardInterrupt",
    "base": "raise BaseException('x')",
    "talks": "print('.'); import os; os.write(1, b'good\\n')",
    "closes": "import os; os.closerange(0, 64)",
    "recurses": "def f(): f()\nf()",
    "syntax": "def",
    "latin": "# \xe9",
    "lacks": "import nothing_of_this_name",
    "alarm": "import signal; signal.alarm(1)",
    "init-ends": "class C:\n    def __init__(self): import os; os._exit(0)",
    "init-raises": "class C:\n    def __init__(self): raise KeyboardInterrupt",
}


def test_plugins_at_import(
    tally: Tally, draw: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever imports do, the good module beside them is not blamed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "drill_good.py").write_text("class C: pass\n")
    for name, text in IMPORTS.items():
        source = text if "class C" in text else f"{text}\nclass C: pass\n"
        (tmp_path / f"drill_{name.replace('-', '_')}.py").write_bytes(source.encode("latin-1"))
    for _ in times(40):
        chosen = draw.sample(sorted(IMPORTS), 3)
        places = [f"drill_{name.replace('-', '_')}:C" for name in chosen]
        places.insert(draw.randrange(4), "drill_good:C")
        found = failures(places, seconds=20)
        tally.note(f"{chosen}: {found}" if "drill_good:C" in found else None)
    assert not any(name.startswith("drill_") for name in sys.modules)


ODD: list[Any] = [
    *(None, True, 0, -1, 1, 2**70, 10**9, 0.5, -0.0, 1e308, math.nan, math.inf, 1j, "", "44100"),
    *((), [], {}, set(), frozenset(), ("vocals",), ("vocals", "vocals"), ("../x",), ["a"]),
    *({"a": 1}, {"a": math.nan}, {1: "a"}, object(), b"x", int, len, range(3), "a\n\x1b[2J"),
    *(np.float32("nan"), np.int64(44100), np.zeros(3), SampleCount(-5), SampleCount(10**15)),
    "x" * 10_000,
]
"""What no fact is, or only some facts are."""


class Read:
    """A fact that runs code where it is read."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = random.Random(draw.random())  # noqa: S311

    def __get__(self, instance: object, owner: type) -> Any:
        kind = self.draw.randrange(4)
        if kind == 0:
            raise self.draw.choice([ValueError("odd"), SystemExit(0), RecursionError(), OSError()])
        return self.draw.choice(ODD)


def test_facts_of_plugins(
    tally: Tally, draw: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a plugin declares, it is described as JSON, or refused in one line."""
    point = EntryPoint("calm", f"{__name__}:Odd", GROUP)
    for number in times(500):
        facts = {
            name: Read(draw) if draw.random() < 0.2 else draw.choice(ODD)
            for name in draw.sample(FACTS, draw.choice([1, 1, 2, 3]))
        }

        def read(facts: dict[str, Any] = facts) -> None:
            monkeypatch.setattr(sys.modules[__name__], "Odd", type("Odd", (Calm,), facts), False)
            loaded = entry_points._load([point], {}, validate)
            if loaded.value is None:
                raise SepbenchError(str(loaded.reason))
            made = variant(loaded.value, {}, "drill 1")
            json.dumps([describe(made), made.identity], allow_nan=False)
            assert made.create().process(torch.zeros(2, 100), {})

        hostile(tally, read, f"{number} {list(facts)}")
