"""Training configs: one YAML file with everything that decides the trained weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
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
    from sepbench.training.training_config import TrainingConfig


@dataclass(frozen=True)
class Config:
    """The sections of a training config.

    ``model`` goes to the method's `Trainable`; ``examples`` and ``training`` are the fields of
    `MixConfig` and `TrainingConfig`; ``teacher`` those of `TeacherConfig`; ``license`` is the
    license of the weights, given the data. An included config states that of weights trained on
    the sources that it has weights for, ``licensed``; None: the license is the user's own text.
    """

    model: dict[str, Any]
    examples: MixConfig
    training: TrainingConfig
    teacher: TeacherConfig
    license: str
    licensed: frozenset[str] | None = None

    def license_for(self, sources: Collection[str]) -> str:
        """Return the license of weights that were trained on these sources."""
        is_known = self.licensed is None or self.licensed.issuperset(sources)
        return self.license if is_known else _LICENSE

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values = {
            "model": self.model,
            "examples": dataclasses.asdict(self.examples),
            "training": dataclasses.asdict(self.training),
        }
        if self.teacher.method:
            values["teacher"] = dataclasses.asdict(self.teacher)
        return values


_SECTIONS = {field.name for field in dataclasses.fields(Config)} - {"licensed"}

_LICENSE = "as the training data's"


def read_config(
    method: str,
    where: str,
    changes: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
) -> Config:
    """Read a config by path, or by name if it is included in sepbench or a plugin.

    A config may be based on another, named by ``base``: its own fields replace those of the base,
    nested fields too. ``changes`` replace fields of the section ``training``; a plugin's configs
    are in ``configs`` in its ``folder``. Raises `SepbenchError` for a missing file, an unknown
    field, a value out of range, and a config that is based on itself.
    """
    from sepbench.training.data.teacher import TeacherConfig
    from sepbench.training.mix_config import MixConfig
    from sepbench.training.training_config import TrainingConfig

    sections = _sections(method, where, _configs(method, folder))
    if "model" not in sections:
        raise _expected(where)
    training = {**sections.get("training", {}), **(changes or {})}
    config = Config(
        dict(sections["model"]),
        read_fields(MixConfig, sections.get("examples", {}), where=where, noun="field"),
        read_fields(TrainingConfig, training, where=where, noun="field"),
        read_fields(TeacherConfig, sections.get("teacher", {}), where=where, noun="field"),
        str(sections.get("license", _LICENSE)),
    )
    if sections.get("licensed") and config.examples.weights:
        config = replace(config, licensed=frozenset(config.examples.weights))
    if wrong := config.examples.wrong_range():
        raise SepbenchError(f"{where}: {wrong}")
    examples, batch = config.training.examples, config.training.batch_size
    if examples < batch:
        raise SepbenchError(f"{where}: examples={examples}: fewer than one batch, which is {batch}")
    return config


def _sections(
    method: str, where: str, known: Mapping[str, Traversable], above: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the sections of a config, over those of the config that it is based on.

    ``above`` are the configs that are based on this one.
    """
    shipped = known.get(where)
    if shipped is None and not Path(where).exists():
        names = f"it has {', '.join(sorted(known))}" if known else "it has none, so give a file"
        by = f"{above[-1]}: base: " if above else ""
        raise SepbenchError(
            f"{by}config {where!r}: neither a file nor a config of {method}; {names}"
        )
    own = where if shipped else str(Path(where).resolve())
    if own in above:
        raise SepbenchError(f"{where}: based on itself, by {', '.join(above)}; give another base")
    sections = read_yaml(shipped or Path(where), where)
    if not isinstance(sections, dict) or not set(sections) <= {*_SECTIONS, "base"}:
        raise _expected(where)
    for name in sorted(_SECTIONS - {"license"}):
        if not isinstance(sections.get(name) or {}, dict):
            raise SepbenchError(f"{where}: {name}: write it as 'field: value' lines")
        if name in sections:
            sections[name] = sections[name] or {}
    for name in ("license", "base"):
        value = sections.get(name)
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise SepbenchError(f"{where}: {name}: {str(value)[:40]!r} is not a text")
    if "license" in sections:
        sections["licensed"] = shipped is not None
    base = sections.pop("base", None)
    if base is None:
        return sections
    if not shipped and base not in known:
        base = Path(where).parent / base
    return _replaced(_sections(method, str(base), known, (*above, own)), sections)


def _replaced(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of both; those of ``new`` win. Nested fields are merged too."""
    merged = {
        name: _replaced(old[name], value)
        for name, value in new.items()
        if isinstance(value, dict) and isinstance(old.get(name), dict)
    }
    return {**old, **new, **merged}


def _expected(where: str) -> SepbenchError:
    wanted = ", ".join(sorted(_SECTIONS))
    return SepbenchError(f"{where}: expected the sections {wanted}, model or base at least")


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
