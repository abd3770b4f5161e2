"""Generates a new plugin: a small package that installs, works and passes its tests."""

from __future__ import annotations

import base64
import datetime
import json
import keyword
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import sepbench
from sepbench._util.files import write_atomic
from sepbench._util.partial import partial_path
from sepbench.datasets.discovery import GROUP as DATASETS
from sepbench.errors import SepbenchError
from sepbench.metrics.protocols import PROTOCOLS
from sepbench.registry import discovery
from sepbench.registry.metrics import METRIC_GROUP

LICENSES = ("MIT", "BSD-3-Clause", "ISC", "Apache-2.0", "GPL-3.0-or-later")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40


@dataclass(frozen=True)
class _Kind:
    """A kind of plugin: its templates by path, and its entry-point group."""

    group: str
    files: Mapping[str, str]
    conformance: str
    use: str
    base: str = "Separator"
    package_data: str = ""
    extra: str = ""
    """The extra of sepbench that it needs."""


_COMMON = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    ".github/workflows/test.yml": "workflow.yml.txt",
    ".gitignore": "gitignore.txt",
}
_NETWORK_DATA = """
[tool.setuptools.package-data]
$package = ["configs/*.yaml", "weights/*.safetensors"]
"""
_CARD_DATA = """
[tool.setuptools.package-data]
$package = ["*.yaml", "*.onnx"]
"""
_BASE64 = ".base64.txt"
"""Suffixes of templates that generate binary files."""

KINDS: Mapping[str, _Kind] = {
    "dsp": _Kind(
        group=discovery.GROUP,
        files={"$package/__init__.py": "dsp.py.txt"},
        conformance="test_conformance.py.txt",
        use="sepbench separate -m $name song.wav\nsepbench evaluate -m $name -m mixture",
    ),
    "network": _Kind(
        group=discovery.GROUP,
        files={
            "$package/__init__.py": "network.py.txt",
            "$package/model.py": "model.py.txt",
            "$package/configs/default.yaml": "default.yaml.txt",
        },
        conformance="test_conformance.py.txt",
        use="sepbench train $name -d FOLDER\n"
        "sepbench separate -m '$name[weights=runs/$name/weights.safetensors]' song.wav",
        package_data=_NETWORK_DATA,
    ),
    "command": _Kind(
        group=discovery.GROUP,
        files={
            "$package/__init__.py": "command.py.txt",
            "$package/separator.yaml": "command.yaml.txt",
            "$package/separate.py": "command_program.py.txt",
        },
        conformance="test_conformance.py.txt",
        use="sepbench separate -m $name song.wav\nsepbench evaluate -m $name -m mixture",
        package_data=_CARD_DATA,
    ),
    "onnx": _Kind(
        group=discovery.GROUP,
        files={
            "$package/__init__.py": "onnx.py.txt",
            "$package/card.yaml": "onnx.yaml.txt",
            "$package/network.onnx": f"network.onnx{_BASE64}",
        },
        conformance="test_conformance.py.txt",
        use="sepbench separate -m $name song.wav\nsepbench evaluate -m $name -m mixture",
        package_data=_CARD_DATA,
        extra="[onnx]",
    ),
    "dataset": _Kind(
        group=DATASETS,
        files={"$package/__init__.py": "dataset.py.txt"},
        conformance="test_dataset.py.txt",
        use="sepbench data $name\nsepbench evaluate -m repet-sim --dataset $name --root DIR",
        base="Dataset",
    ),
    "metric": _Kind(
        group=METRIC_GROUP,
        files={"$package/__init__.py": "metric.py.txt"},
        conformance="test_metric.py.txt",
        use="sepbench metrics $name\nsepbench evaluate --all --metric $name --protocol $name",
        base="Metric",
    ),
}
"""The kinds of plugin that `create` writes."""


def create(
    name: str, folder: Path, *, kind: str = "dsp", license: str = "MIT", authors: str = ""
) -> list[Path]:
    """Write the files of a new plugin into a new ``folder`` and return their paths.

    ``kind`` is one of `KINDS`: a separator in one module, one with a network to be trained, a
    program, a network in ONNX, a data set, or a metric. ``license`` is one of `LICENSES`. Raises
    `SepbenchError` for a name that is not valid or taken, for a folder that exists, and if it
    cannot be written; then nothing is left of it.
    """
    package = f"sepbench_{name.replace('-', '_')}"
    chosen = KINDS[kind]
    _check(name, package, chosen.group)
    if folder.exists():
        raise SepbenchError(f"{folder}: exists already; choose another --out")
    words = _words(name, package, kind, license, authors or f"the authors of {name}")
    layout = {
        **_COMMON,
        **chosen.files,
        "tests/test_conformance.py": chosen.conformance,
        "LICENSE": f"licenses/{license}.txt",
    }
    places = {Template(place).substitute(words): of for place, of in layout.items()}
    begun = partial_path(folder)  # so that there is never half a plugin
    try:
        for place, template in places.items():
            write_atomic(begun / place, _content(template, words))
        begun.rename(folder)
    except (OSError, SepbenchError) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or cause
        raise SepbenchError(f"{folder}: cannot write: {reason}; choose another --out") from error
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return [folder / place for place in places]


def _words(name: str, package: str, kind: str, license: str, authors: str) -> dict[str, str]:
    """Return the values of the ``$names`` in the templates."""
    chosen, year = KINDS[kind], str(datetime.date.today().year)
    words = {
        "name": name,
        "package": package,
        "distribution": f"sepbench-{name}",
        "class_name": _class_name(name, chosen.base),
        "group": chosen.group,
        "license": license,
        "authors": authors,
        "year": year,
        # A string of JSON is one of Python and of YAML too, quotes in a name included.
        "citation": json.dumps(f"{authors}, {year}", ensure_ascii=False),
        "extra": chosen.extra,
        "sepbench": ".".join(sepbench.__version__.split(".")[:2]),
        "kind": {"dataset": "data set", "metric": "metric"}.get(kind, "music source separator"),
    }
    words["use"] = Template(chosen.use).substitute(words)
    words["package_data"] = Template(chosen.package_data).substitute(words)
    return words


def _content(template: str, words: Mapping[str, str]) -> str | bytes:
    text = (files("sepbench.registry") / "templates" / template).read_text(encoding="utf-8")
    if template.endswith(_BASE64):
        return base64.b64decode(text)
    return Template(text).substitute(words).rstrip() + "\n"


def _check(name: str, package: str, group: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise SepbenchError(
            f"name {name!r}: use lower-case letters, digits and single hyphens, a letter first, "
            f"at most {_LONGEST_NAME}"
        )
    if group == METRIC_GROUP and name in PROTOCOLS:
        raise SepbenchError(f"name {name!r}: is that of a published protocol; choose another")
    taken = entry_points(group=group, name=name)
    if taken:
        owner = next(iter(taken)).dist
        raise SepbenchError(
            f"name {name!r}: taken by {owner.name if owner else 'a plugin'}; choose another"
        )
    if find_spec(package) is not None:
        raise SepbenchError(f"name {name!r}: a package {package} is installed; choose another name")


def _class_name(name: str, base: str) -> str:
    """Return the name as a class is named; ``base`` is added to a Python keyword.

    >>> _class_name("centre-cut", "Separator"), _class_name("none", "Separator")
    ('CentreCut', 'NoneSeparator')
    """
    joined = "".join(part.capitalize() for part in name.split("-"))
    return f"{joined}{base}" if keyword.iskeyword(joined) else joined
