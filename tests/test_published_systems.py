"""Holds the tables of docs/published-systems.md and the configs that they describe together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sepbench.training.config import read_config

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "published-systems.md").read_text(encoding="utf-8")


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield method, config, field and value of every row of the tables."""
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE):
        heading = re.match(r"`([\w-]+)` ([\w-]+)\n", section)
        if heading:
            for field, value in re.findall(
                r"^\| `([\w.]+)` \|.*\| (.*) \|$", section, re.MULTILINE
            ):
                yield heading[1], heading[2], field, value


@pytest.mark.parametrize(("method", "config", "field", "value"), list(rows()))
def test_the_config_has_what_the_page_says(
    method: str, config: str, field: str, value: str
) -> None:
    sections = yaml.safe_load((ROOT / "configs" / method / f"{config}.yaml").read_text())
    section, name = field.split(".")
    assert sections[section][name] == yaml.safe_load(value)


def test_every_published_config_is_on_the_page_and_can_be_read() -> None:
    listed = {(method, config) for method, config, *_ in rows()}
    for file in (ROOT / "configs").glob("*/*.yaml"):
        method, name = file.parent.name, file.stem
        if name.startswith("published") or name == "lin2018":
            assert (method, name) in listed
            assert read_config(method, name).plan.average == 0
