"""Training configs: one YAML file says all that decides what weights come out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench._util.yaml_file import read_yaml
from sepbench.errors import SepbenchError
from sepbench.training.schedules import schedule

if TYPE_CHECKING:
    from sepbench.training.examples import MixConfig
    from sepbench.training.loop import TrainingConfig

_SECTIONS = {"model", "examples", "training", "license"}


@dataclass(frozen=True)
class Config:
    """The sections of a training config.

    ``model`` goes to the method's `Trainable`; ``examples`` and ``training`` are the fields of
    `MixConfig` and `TrainingConfig`; ``license`` says under which terms the weights may be used,
    given the data.
    """

    model: dict[str, Any]
    recipe: MixConfig
    plan: TrainingConfig
    license: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "model": self.model,
            "examples": dataclasses.asdict(self.recipe),
            "training": dataclasses.asdict(self.plan),
        }


def read_config(
    method: str,
    where: str,
    changes: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
) -> Config:
    """Read a config by path, or by name from the ones that come with sepbench or with a plugin.

    ``changes`` replace fields of the section ``training``; a plugin's configs are in ``configs`` in
    its ``folder``. Raises `SepbenchError` for a file that is missing or has fields nobody knows.
    """
    from sepbench.training.examples import MixConfig
    from sepbench.training.loop import TrainingConfig

    named = [files("sepbench_configs") / method / f"{where}.yaml"]
    if folder is not None:
        named.append(folder / "configs" / f"{where}.yaml")
    source = next((file for file in named if file.is_file()), Path(where))
    if isinstance(source, Path) and not source.exists():
        raise SepbenchError(
            f"config {where!r}: neither a file nor a config of {method}; 'default' is one"
        )
    sections = read_yaml(source, where)
    if not isinstance(sections, dict) or not set(sections) <= _SECTIONS or "model" not in sections:
        wanted = ", ".join(sorted(_SECTIONS))
        raise SepbenchError(f"{where}: expected the sections {wanted}, model at least")
    for name in sorted(_SECTIONS - {"license"}):
        if not isinstance(sections.get(name) or {}, dict):
            raise SepbenchError(f"{where}: {name}: write it as 'field: value' lines")
    training = {**(sections.get("training") or {}), **(changes or {})}
    config = Config(
        dict(sections["model"] or {}),
        _fill(MixConfig, sections.get("examples") or {}, where),
        _fill(TrainingConfig, training, where),
        str(sections.get("license", "as the training data's")),
    )
    _check(config, where)
    return config


def _check(config: Config, where: str) -> None:
    """Raise `SepbenchError` for a plan by which nothing can be trained."""
    plan, recipe = config.plan, config.recipe
    schedule(plan.schedule)
    for name, value, low in (
        ("epochs", plan.epochs, 1),
        ("batch_size", plan.batch_size, 1),
        ("workers", plan.workers, 0),
    ):
        if value < low:
            raise SepbenchError(f"{where}: {name}={value}: must be at least {low}")
    if plan.examples < plan.batch_size:
        raise SepbenchError(
            f"{where}: examples={plan.examples}: fewer than one batch, which is {plan.batch_size}"
        )
    for name, number in (("learning_rate", plan.learning_rate), ("seconds", recipe.seconds)):
        if not 0 < number < math.inf:
            raise SepbenchError(f"{where}: {name}={number:g}: must be a number above 0")


def _fill(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = [name for name in values if name not in fields]
    if unknown:
        raise SepbenchError(f"{where}: no field {unknown[0]!r}; there are {', '.join(fields)}")
    filled = {}
    for name, value in values.items():
        default = fields[name].default
        try:
            filled[name] = _as(default, value)
        except (TypeError, ValueError):
            raise SepbenchError(
                f"{where}: {name}={value!r} is no {type(default).__name__}"
            ) from None
    return kind(**filled)


def _as(default: Any, value: Any) -> Any:
    if isinstance(default, tuple):
        return tuple(float(item) for item in value)
    if isinstance(default, (int, float, str)):
        return type(default)(value)
    return dict(value)
