"""``--config``: a YAML file whose keys are the names of a verb's options."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import yaml

from sepbench.errors import SepbenchError


def read(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Take defaults of the verb's options from a file; the command line wins over them."""
    if value is None:
        return
    path, text = _text(value)
    try:
        keys = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise SepbenchError(f"{path}: not YAML: {reason}") from None
    if not isinstance(keys, dict):
        raise SepbenchError(f"{path}: write it as 'option: value' lines")
    known = {
        option.removeprefix("--"): parameter
        for parameter in ctx.command.params
        for option in parameter.opts
        if parameter is not param and option.startswith("--")
    }
    ctx.default_map = {**(ctx.default_map or {}), **_defaults(path, keys, known)}


def _text(value: str) -> tuple[str, str]:
    path = Path(value)
    shipped = files("sepbench_configs") / "benchmark" / f"{value}.yaml"
    try:
        if not path.is_file() and shipped.is_file():
            return f"configuration {value}", shipped.read_text(encoding="utf-8")
        return value, path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SepbenchError(f"{value}: not a text file; give a file of YAML") from None
    except OSError as error:
        names = (files("sepbench_configs") / "benchmark").iterdir()
        shipped_names = ", ".join(sorted(Path(item.name).stem for item in names))
        raise SepbenchError(
            f"{value}: cannot read: {error.strerror or error}; "
            f"give a file or one of: {shipped_names}"
        ) from None


def _defaults(path: str, keys: dict[Any, Any], known: dict[str, click.Parameter]) -> dict[str, Any]:
    defaults = {}
    for key, value in keys.items():
        name = str(key).replace("_", "-")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
            raise SepbenchError(f"{path}: unknown key {key!r}; {cure}")
        parameter = known[name]
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (str, int, float, bool)) for item in items):
            raise SepbenchError(f"{path}: {key}: give a word or number, or a list of them")
        if isinstance(parameter.type, (click.types.StringParamType, click.Path)):
            items = [str(item) for item in items]
            value = items if isinstance(value, list) else items[0]
        several = parameter.multiple and not isinstance(value, list)
        defaults[str(parameter.name)] = [value] if several else value
    return defaults
