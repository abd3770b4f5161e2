"""What a plugin can do to the process it runs in, each under a name; importable by workers."""

from __future__ import annotations

import gc
import locale
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from fakes import Calm


class Mute(Exception):  # noqa: N818
    """An exception that cannot be told."""

    def __str__(self) -> str:
        raise SystemExit


class Evil:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (0,)


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _recurse() -> None:
    _recurse()


def _fork() -> None:
    os.fork()


def _later() -> None:
    threading.Thread(target=lambda: (time.sleep(0.05), os._exit(9)), daemon=True).start()


def _close() -> None:
    os.closerange(0, 64)


def _talk() -> None:
    os.write(1, b"x" * 100_000)
    sys.stdout.write("hello \x1b[2J" * 1000)


def _group() -> None:
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _patch() -> None:
    import sepbench.metrics.sdr
    import sepbench.stems

    sepbench.stems.with_sums = lambda stems: {}  # type: ignore[assignment]
    torch.Tensor.__truediv__ = lambda a, b: a * 0  # type: ignore[assignment]
    np.mean = lambda *a, **k: 99.0


def _spoil() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    os.environ.clear()
    os.chdir("/")
    warnings.simplefilter("error")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    locale.setlocale(locale.LC_ALL, "C")
    sys.stdout = sys.stderr = None
    gc.disable()
    sys.path.clear()


ACTS: dict[str, Callable[[], None]] = {
    "exits": lambda: os._exit(0),
    "exits-3": lambda: os._exit(3),
    "sys-exits": lambda: sys.exit(0),
    "segfaults": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "aborts": os.abort,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "group": _group,
    "interrupts": _raise(KeyboardInterrupt()),
    "base": _raise(BaseException("odd")),
    "generator-exit": _raise(GeneratorExit()),
    "stop-iteration": _raise(StopIteration()),
    "mute": _raise(Mute()),
    "lines": _raise(ValueError("one\ntwo\x1b[31m")),
    "recurses": _recurse,
    "memory": _raise(MemoryError()),
    "forks": _fork,
    "later": _later,
    "closes": _close,
    "talks": _talk,
    "patches": _patch,
    "spoils": _spoil,
    "ignores": lambda: [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)] and None,
    "endless": lambda: time.sleep(3600),
}
ANSWERS: dict[str, Callable[[torch.Tensor], Any]] = {
    "none": lambda mixture: None,
    "list": lambda mixture: [mixture],
    "other-stem": lambda mixture: {"voice": mixture},
    "number": lambda mixture: {"vocals": 3},
    "array": lambda mixture: {"vocals": mixture.numpy()},
    "short": lambda mixture: {"vocals": mixture[:, :-1]},
    "flat": lambda mixture: {"vocals": mixture[0]},
    "complex": lambda mixture: {"vocals": mixture * 1j},
    "meta": lambda mixture: {"vocals": mixture.to("meta")},
    "integers": lambda mixture: {"vocals": mixture.to(torch.int64)},
    "nan": lambda mixture: {"vocals": mixture * float("nan")},
    "infinite": lambda mixture: {"vocals": mixture / 0},
    "huge": lambda mixture: {"vocals": mixture * 1e38 * 1e3},
    "sparse": lambda mixture: {"vocals": mixture.to_sparse()},
    "evil": lambda mixture: {"vocals": Evil()},
    "grad": lambda mixture: {"vocals": (mixture * torch.ones(1, requires_grad=True))},
    "in-place": lambda mixture: {"vocals": mixture.clone(), "x": mixture.zero_()},
}


class Loading(Calm):
    act = ""

    def load(self, device: torch.device) -> None:
        ACTS[self.act]()


class Separating(Calm):
    act = ""

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        ACTS[self.act]()
        return super().separate(mixture)


class Answering(Calm):
    act = ""

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        made: Mapping[str, torch.Tensor] = ANSWERS[self.act](mixture)
        return made


def _named(kind: type[Calm], act: str) -> type[Calm]:
    name = f"{kind.__name__.lower()}-{act}"
    return type(name, (kind,), {"name": name, "act": act, "__module__": __name__})


SEPARATORS = {
    made.name: made
    for kind, acts in ((Loading, ACTS), (Separating, ACTS), (Answering, ANSWERS))
    for made in (_named(kind, act) for act in acts)
}
globals().update({made.__name__: made for made in SEPARATORS.values()})
