"""Training configs: one YAML file with everything that decides the trained weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench._util.yaml_file import read_yaml
from sepbench.errors import SepbenchError
from sepbench.options import read_fields

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from sepbench.training.data.teacher import TeacherConfig
    from sepbench.training.mix_config import MixConfig
    from sepbench.training.plan import TrainingConfig

_SECTIONS = {"model", "examples", "teacher", "training", "license"}


@dataclass(frozen=True)
class Config:
    """The sections of a training config.

    ``model`` goes to the method's `Trainable`; ``examples`` and ``training`` are the fields of
    `MixConfig` and `TrainingConfig`; ``teacher`` those of `TeacherConfig`; ``license`` is the
    license of the weights, given the data.
    """

    model: dict[str, Any]
    recipe: MixConfig
    plan: TrainingConfig
    teacher: TeacherConfig
    license: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values = {
            "model": self.model,
            "examples": dataclasses.asdict(self.recipe),
            "training": dataclasses.asdict(self.plan),
        }
        if self.teacher.method:
            values["teacher"] = dataclasses.asdict(self.teacher)
        return values


def read_config(
    method: str,
    where: str,
    changes: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
) -> Config:
    """Read a config by path, or by name if it is included in sepbench or a plugin.

    ``changes`` replace fields of the section ``training``; a plugin's configs are in ``configs`` in
    its ``folder``. Raises `SepbenchError` for a missing file, an unknown
    field and a value out of range.
    """
    from sepbench.training.data.teacher import TeacherConfig
    from sepbench.training.mix_config import MixConfig
    from sepbench.training.plan import TrainingConfig

    known = _configs(method, folder)
    shipped = known.get(where)
    if shipped is None and not Path(where).exists():
        names = f"it has {', '.join(sorted(known))}" if known else "it has none, so give a file"
        raise SepbenchError(f"config {where!r}: neither a file nor a config of {method}; {names}")
    sections = read_yaml(shipped or Path(where), where)
    if not isinstance(sections, dict) or not set(sections) <= _SECTIONS or "model" not in sections:
        wanted = ", ".join(sorted(_SECTIONS))
        raise SepbenchError(f"{where}: expected the sections {wanted}, model at least")
    for name in sorted(_SECTIONS - {"license"}):
        if not isinstance(sections.get(name) or {}, dict):
            raise SepbenchError(f"{where}: {name}: write it as 'field: value' lines")
    training = {**(sections.get("training") or {}), **(changes or {})}
    config = Config(
        dict(sections["model"] or {}),
        read_fields(MixConfig, sections.get("examples") or {}, where=where, noun="field"),
        read_fields(TrainingConfig, training, where=where, noun="field"),
        read_fields(TeacherConfig, sections.get("teacher") or {}, where=where, noun="field"),
        str(sections.get("license", "as the training data's")),
    )
    if wrong := config.recipe.wrong_range():
        raise SepbenchError(f"{where}: {wrong}")
    plan = config.plan
    if plan.examples < plan.batch_size:
        raise SepbenchError(
            f"{where}: examples={plan.examples}: fewer than one batch, which is {plan.batch_size}"
        )
    return config


def _configs(method: str, folder: Path | None) -> dict[str, Traversable]:
    """Return the configs of a method by name: those of sepbench, then those of its plugin."""
    places: list[Traversable] = [files("sepbench_configs") / method]
    if folder is not None:
        places.append(folder / "configs")
    found: dict[str, Traversable] = {}
    for file in (file for place in places if place.is_dir() for file in place.iterdir()):
        if file.name.endswith(".yaml"):
            found.setdefault(file.name.removesuffix(".yaml"), file)
    return found
