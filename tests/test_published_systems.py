"""Holds the tables of docs/published-systems.md and the configs that they describe together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sepbench.training.config import read_config

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "published-systems.md").read_text(encoding="utf-8")
CONFIGS = [
    (file.parent.name, file.stem)
    for file in sorted((ROOT / "configs").glob("*/*.yaml"))
    if file.stem.startswith("published") or file.stem == "lin2018"
]


@pytest.mark.parametrize(("method", "config"), CONFIGS)
def test_the_page_has_every_field_of_a_published_config(method: str, config: str) -> None:
    section = PAGE.partition(f"### `{method}` {config}\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| .+ \| (.+) \|$", section, re.MULTILINE)
    sections = yaml.safe_load((ROOT / "configs" / method / f"{config}.yaml").read_text())
    fields = {
        f"{section}.{name}": value
        for section in ("model", "examples", "training")
        for name, value in sections[section].items()
    }
    assert {field: yaml.safe_load(value) for field, value in rows} == fields
    assert read_config(method, config).training.average == 0
