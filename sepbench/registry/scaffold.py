"""A new plugin: a small distribution that installs, separates and passes its test."""

from __future__ import annotations

import datetime
import keyword
import re
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import sepbench
from sepbench._util.files import write_atomic
from sepbench.errors import SepbenchError
from sepbench.registry import GROUP

KINDS = ("dsp", "network")
LICENSES = ("MIT", "BSD-3-Clause", "ISC", "Apache-2.0", "GPL-3.0-or-later")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_PACKAGE_DATA = """
[tool.setuptools.package-data]
$package = ["configs/*.yaml", "weights/*.safetensors"]
"""
_USE = {
    "dsp": "sepbench separate -m $name song.wav",
    "network": "sepbench train $name -d FOLDER\n"
    "sepbench separate -m '$name[weights=runs/$name/weights.safetensors]' song.wav",
}


def create(
    name: str, folder: Path, *, kind: str = "dsp", license: str = "MIT", authors: str = ""
) -> list[Path]:
    """Write the files of a new plugin into a new ``folder`` and return their paths.

    ``kind`` is one of `KINDS`: a separator in one module, or one with a network to be trained.
    ``license`` is one of `LICENSES`. Raises `SepbenchError` for a name that cannot be one or is
    taken, and for a folder that is there.
    """
    package = f"sepbench_{name.replace('-', '_')}"
    _check(name, package)
    if folder.exists():
        raise SepbenchError(f"{folder}: is there already; choose another --out")
    words = {
        "name": name,
        "package": package,
        "distribution": f"sepbench-{name}",
        "class_name": _class_name(name),
        "license": license,
        "authors": authors or f"the authors of {name}",
        "year": str(datetime.date.today().year),
        "sepbench": ".".join(sepbench.__version__.split(".")[:2]),
    }
    words["use"] = Template(_USE[kind]).substitute(words)
    data = Template(_PACKAGE_DATA).substitute(words) if kind == "network" else ""
    words["package_data"] = data
    written = []
    for path, template in _layout(package, kind, license).items():
        text = Template(
            (files("sepbench.registry") / "templates" / template).read_text(encoding="utf-8")
        )
        write_atomic(folder / path, text.substitute(words).rstrip() + "\n")
        written.append(folder / path)
    return written


def _layout(package: str, kind: str, license: str) -> dict[str, str]:
    """Return the template of each file."""
    layout = {
        "pyproject.toml": "pyproject.toml.txt",
        f"{package}/__init__.py": f"{kind}.py.txt",
        "tests/test_conformance.py": "test_conformance.py.txt",
        "README.md": "README.md.txt",
        "LICENSE": f"licenses/{license}.txt",
        ".github/workflows/test.yml": "workflow.yml.txt",
        ".gitignore": "gitignore.txt",
    }
    if kind == "network":
        layout[f"{package}/model.py"] = "model.py.txt"
        layout[f"{package}/configs/default.yaml"] = "default.yaml.txt"
    return layout


def _check(name: str, package: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise SepbenchError(
            f"name {name!r}: take lower case letters, digits and single hyphens, a letter first, "
            f"at most {_LONGEST_NAME}"
        )
    taken = entry_points(group=GROUP, name=name)
    if taken:
        owner = next(iter(taken)).dist
        raise SepbenchError(
            f"name {name!r}: {owner.name if owner else 'a plugin'} has a method of it; take another"
        )
    if find_spec(package) is not None:
        raise SepbenchError(f"name {name!r}: a package {package} is installed; take another name")


def _class_name(name: str) -> str:
    """Return the name in the way of classes.

    >>> _class_name("centre-cut"), _class_name("none")
    ('CentreCut', 'NoneSeparator')
    """
    joined = "".join(part.capitalize() for part in name.split("-"))
    return f"{joined}Separator" if keyword.iskeyword(joined) else joined
