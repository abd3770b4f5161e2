"""``--config``: a YAML file whose keys are the names of a command's options."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from sepbench._util.yaml_file import read_yaml
from sepbench.errors import SepbenchError


def read(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Take the defaults of options from a file; the command line overrides them."""
    if value is None:
        return
    path, keys = _read(value)
    if not isinstance(keys, dict):
        raise SepbenchError(f"{path}: write it as 'option: value' lines")
    known = {
        option.removeprefix("--"): parameter
        for parameter in ctx.command.params
        for option in parameter.opts
        if parameter is not param and option.startswith("--")
    }
    ctx.default_map = {**(ctx.default_map or {}), **_defaults(path, keys, known)}


def _read(value: str) -> tuple[str, Any]:
    """Return the name of a configuration and its text."""
    path, folder = Path(value), files("sepbench_configs") / "benchmark"
    shipped = folder / f"{value}.yaml"
    if not path.is_file() and shipped.is_file():
        name = f"configuration {value}"
        return name, read_yaml(shipped, name) or {}
    if not value or path.is_dir() or not path.exists():
        names = ", ".join(sorted(Path(item.name).stem for item in folder.iterdir()))
        what = "a folder" if value and path.is_dir() else "no such file"
        raise SepbenchError(f"{value or repr(value)}: {what}; give a file or one of: {names}")
    return value, read_yaml(path, value) or {}


def _defaults(path: str, keys: dict[Any, Any], known: dict[str, click.Parameter]) -> dict[str, Any]:
    defaults = {}
    for key, value in keys.items():
        name = str(key).replace("_", "-")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
            raise SepbenchError(f"{path}: unknown key {key!r}; {cure}")
        parameter = known[name]
        several = isinstance(value, list)
        items = value if several else [value]
        if not all(isinstance(item, (str, int, float, bool)) for item in items):
            raise SepbenchError(f"{path}: {key}: give a word or number, or a list of them")
        if any(isinstance(i, bool) for i in items) and not getattr(parameter, "is_flag", False):
            raise SepbenchError(f"{path}: {key}: true and false are no value; quote a word")
        if several and not parameter.multiple:
            raise SepbenchError(f"{path}: {key}: give one value, not a list")
        if isinstance(parameter.type, (click.types.StringParamType, click.Path)):
            items = [str(item) for item in items]
        defaults[str(parameter.name)] = items if parameter.multiple else items[0]
    return defaults
