"""Checks of the facts that a separator declares, without separating."""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from sepbench import options as opts
from sepbench import registry
from sepbench._util.files import sha256
from sepbench.errors import SepbenchError
from sepbench.options import NoOptions
from sepbench.registry.facts import RATES
from sepbench.separator import Ensemble, in_samples
from sepbench.stems import is_stem_name
from sepbench.testing.check import CheckFailed, NotApplicable, Note, check, valid_plugin
from sepbench.testing.subject import Subject
from sepbench.weights import files

IMPORT_SECONDS = 1.0
"""Largest CPU time in seconds for reading a separator's facts."""

_HEAVY = ("torch", "librosa", "scipy", "pandas", "matplotlib", "tensorflow")
_PROBE = f"""
import sys, time, sepbench.training.learned
start = time.process_time()
__import__(sys.argv[1])
print(time.process_time() - start, *sorted(set({_HEAVY}) & set(sys.modules)))
"""
_LONGEST_SUMMARY = 100
_TRAINED_ON = re.compile(r"[\w.-]+(/[\w.-]+)*")
_PLACEHOLDERS = {"", "none", "todo", "unknown", "n/a", "-"}


@check(fix="give the plugin a unique name")
def registered(subject: Subject) -> str:
    """Exactly one entry point has its name."""
    if not subject.name:
        raise NotApplicable("given as a class, not by its registered name")
    points = entry_points(group=registry.GROUP, name=subject.name)
    owners = sorted({f"{p.dist.name} {p.dist.version}" if p.dist else "unknown" for p in points})
    if len({point.value for point in points}) != 1:
        raise CheckFailed(f"{len(owners)}: {' and '.join(owners) or 'none'}")
    return owners[0]


@check(
    fix="derive from it, define separate(self, mixture), set name, summary, stems, license and "
    "citation, and call the entry point by the same name",
    required=True,
)
def contract(subject: Subject) -> str:
    """A subclass of sepbench.separator.Separator with all of its facts."""
    name = subject.name or getattr(subject.kind, "name", "?")
    return valid_plugin(subject.kind, name, registry.GROUP, registry.validate)


@check(fix="import heavy modules inside load or separate, types under TYPE_CHECKING")
def light_import(subject: Subject) -> str:
    """Its import takes at most 1 s of CPU time, and does not import torch and the like."""
    # In a new process, as this one has imported everything.
    module = subject.kind.__module__
    if find_spec(module) is None or module == "__main__":
        raise NotApplicable(f"{module} cannot be imported by another process")
    result = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", _PROBE, module],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if result.returncode:
        raise CheckFailed(result.stderr.strip().splitlines()[-1])
    seconds, *heavy = result.stdout.splitlines()[-1].split()
    if heavy or float(seconds) > IMPORT_SECONDS:
        raise CheckFailed(f"{float(seconds):.2f} s, with {', '.join(heavy) or 'none of these'}")
    return f"{float(seconds):.2f} s"


@check(fix="define both at the top of a module or in a class there, not in a function")
def importable(subject: Subject) -> str:
    """Its class and its Options can be imported by other processes."""
    for kind in (subject.kind, subject.kind.Options):
        found: Any = importlib.import_module(kind.__module__)
        for part in kind.__qualname__.split("."):
            found = getattr(found, part, None)
        if found is not kind:
            raise CheckFailed(f"{kind.__module__}:{kind.__qualname__} is something else")
    return f"{subject.kind.__module__}:{subject.kind.__qualname__}"


@check(fix="say what it does and how")
def summary(subject: Subject) -> str:
    """One sentence of at most 100 letters."""
    text = subject.kind.summary
    if not (isinstance(text, str) and 0 < len(text) <= _LONGEST_SUMMARY and "\n" not in text):
        raise CheckFailed(f"{len(str(text))} letters, {str(text).count(chr(10)) + 1} lines")
    return text


@check(
    fix="set stems to a tuple of lower-case names, remainder to the one that separate leaves out"
)
def stems(subject: Subject) -> str:
    """Stems, each once, in lower case; a remainder that is one of them."""
    with _readable(subject):
        separator = subject.declared()
        names, remainder = separator.stems, separator.remainder
    strange = [name for name in names if not is_stem_name(name)]
    if not isinstance(names, tuple) or strange or not names or len(set(names)) < len(names):
        raise CheckFailed(f"{names!r}")
    if remainder is not None and (remainder not in names or len(names) == 1):
        raise CheckFailed(f"remainder {remainder!r} of {', '.join(names)}")
    return ", ".join(f"{name} (remainder)" if name == remainder else name for name in names)


@check(
    fix="set sample_rate, channels and context; None: any rate, any channels, the whole song",
    required=True,
)
def host_facts(subject: Subject) -> str:
    """A rate from 1000 to 768000 Hz or None, 1 or 2 channels or None, a context in seconds or
    None."""
    with _readable(subject):
        separator = subject.declared()
        rate, channels, context = separator.sample_rate, separator.channels, separator.context
    length = in_samples(context or 0.0, 1)
    got = f"rate {rate}, channels {channels}, context {context}"
    fits = (
        (rate is None or (isinstance(rate, int) and RATES[0] <= rate <= RATES[1]))
        and channels in (None, 1, 2)
        and (context is None or (math.isfinite(length) and length >= 0))
    )
    if not fits:
        raise CheckFailed(got)
    return got


@contextmanager
def _readable(subject: Subject) -> Iterator[None]:
    """Convert the `SepbenchError` of a fact: to a failure, unless an option must be given first.

    An option without default has the empty text as default; such a method has none of them given.
    """
    try:
        yield
    except SepbenchError as reason:
        options = subject.method.options
        empty = [field.name for field in dataclasses.fields(options) if field.default == ""]
        if empty and not any(getattr(options, name) for name in empty):
            raise NotApplicable(str(reason)) from None
        raise CheckFailed(str(reason), "correct what the error names") from None


@check(fix="see https://spdx.org/licenses; for others write LicenseRef-NAME")
def license_(subject: Subject) -> str:
    """An SPDX expression, with another for weights where they differ: MIT; weights CC0-1.0."""
    text = subject.declared().license
    for part in text.split(";"):
        expression = part.strip().removeprefix("weights ")
        try:
            canonicalize_license_expression(expression)
        except InvalidLicenseExpression:
            raise CheckFailed(f"{expression!r} in {text!r}") from None
    return text


@check(fix="name authors, title and year")
def citation(subject: Subject) -> str:
    """The publication of the method."""
    text = subject.declared().citation
    if text.strip().lower() in _PLACEHOLDERS or len(text.split()) < 2:
        raise CheckFailed(repr(text))
    return text


@check(fix="declare each as NAME: TYPE = option(DEFAULT, HELP, minimum=..., maximum=...)")
def options(subject: Subject) -> str:
    """A frozen dataclass whose options have a type, a help, and a default within their range."""
    kind = subject.kind.Options
    if kind is NoOptions:
        raise NotApplicable("it has no options")
    if not (dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise CheckFailed(f"{kind.__qualname__} is not a frozen dataclass")
    for described in opts.describe(kind):
        name, default = described["name"], described["default"]
        if described["type"] not in ("int", "float", "bool", "str"):
            raise CheckFailed(f"{name} is of type {described['type']}, not int, float, bool or str")
        if not described["help"]:
            raise CheckFailed(f"{name} has no help")
        built = getattr(opts.build(kind, {name: default}, method=subject.kind.name), name)
        if built != default != "":  # An empty text may be replaced by what other options suggest.
            raise CheckFailed(
                f"the default of {name}, {default!r}, is not of type {described['type']}"
            )
    return ", ".join(f"{o['name']}={o['default']}" for o in opts.describe(kind))


@check(fix="give minimum or maximum to option(); raise SepbenchError for invalid combinations")
def ranges(subject: Subject) -> str:
    """Numbers have limits; a value beyond is refused, one at the limit accepted or refused with
    SepbenchError."""
    kind = subject.kind
    looked_at = []
    for described in opts.describe(kind.Options):
        name, choices = described["name"], described["choices"]
        limits = {key: described[key] for key in ("minimum", "maximum")}
        if choices is not None or described["type"] not in ("int", "float"):
            continue
        if not any(limit is not None for limit in limits.values()):
            raise CheckFailed(f"{name} has neither minimum nor maximum")
        for key, limit in limits.items():
            if limit is not None:
                beyond = limit - 1 if key == "minimum" else limit + 1
                if _takes(kind, name, beyond):
                    raise CheckFailed(
                        f"{name}={beyond:g} is accepted, though its {key} is {limit:g}"
                    )
                _takes(kind, name, limit)
                looked_at.append(f"{name}={limit:g}")
    if not looked_at:
        raise NotApplicable("it has no numbers among its options")
    return f"refused beyond {', '.join(looked_at)}"


def _takes(kind: Any, name: str, value: float) -> bool:
    """Return whether an option's value is accepted; others must raise `SepbenchError`."""
    try:
        chosen = opts.build(kind.Options, {name: value}, method=kind.name)
        if not issubclass(kind, Ensemble):
            kind(chosen)
    except SepbenchError:
        return False
    return True


@check(
    fix="list what may be missing in needs, each with the command that installs it", required=True
)
def needs(subject: Subject) -> str:
    """All required modules, programs and weights are installed."""
    separator = subject.declared()
    for need in separator.needs:
        if not need.install:
            raise CheckFailed(f"{need.module or need.program}, and no command that installs it")
        if reason := need.missing():
            raise NotApplicable(reason)
    is_fetched = any(file.path is None for file in separator.weight_files)
    if is_fetched and (reason := files.missing(separator)):
        raise NotApplicable(reason)
    names = (need.module or need.program for need in separator.needs)
    return ", ".join(names) or "nothing beyond sepbench"


@check(fix="set trained_on; songs used in training are marked in every table")
def trained_on(subject: Subject) -> str:
    """What weights were trained on, each as data set or data set/subset."""
    separator = subject.declared()
    declared = separator.trained_on
    strange = [name for name in declared if not _TRAINED_ON.fullmatch(name)]
    if strange:
        raise CheckFailed(repr(strange[0]))
    if separator.weight_files and not declared and not subject.is_untrained:
        raise CheckFailed("weights, but no training data")
    return ", ".join(declared) or "it is not trained"


@check(fix="put the file into the package, list it as package data, and declare its sha256")
def weights(subject: Subject) -> str:
    """The weight file exists and has the declared sha256."""
    separator = subject.declared()
    if not separator.weight_files:
        raise NotApplicable("it has no weights")
    if subject.is_untrained:
        raise Note(f"none yet: checked with random ones; sepbench train {subject.kind.name}")
    for file in separator.weight_files:
        path = files.path_of(separator.name, file)
        if not path.is_file():
            raise CheckFailed(f"no file {file.file}")
        found = sha256(path)
        if not found.startswith(files.expected(separator.name, file)):
            raise CheckFailed(f"{file.file} has {found}, declared is {file.sha256}")
    return ", ".join(file.file for file in separator.weight_files)


CHECKS = (
    contract, registered, light_import, importable, summary, stems, host_facts, license_, citation,
    options, ranges, needs, trained_on, weights,
)  # fmt: skip
