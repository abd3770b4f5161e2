"""Every method that sepbench brings passes the checks that it asks others to pass."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

import sepbench_plugins
from sepbench import registry
from sepbench.testing import examine
from sepbench.testing.check import FAILED

SECONDS, LEARNED_SECONDS = 7.0, 2.0
"""Of the longest song; 'plugin check' takes longer ones."""

QUICK = {"mixture"}
"""Those whose examination takes a second."""

BUNDLED = [entry for entry in registry.plugins() if entry.distribution.startswith("sepbench ")]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.name, marks=[] if entry.name in QUICK else [pytest.mark.slow])
        for entry in BUNDLED
    ],
)
def test_every_bundled_method_conforms(entry: registry.PluginInfo) -> None:
    if entry.separator is None:
        assert not entry.broken, entry.reason
        pytest.skip(str(entry.reason))
    seconds = LEARNED_SECONDS if entry.separator.needs else SECONDS
    outcomes = examine(entry.separator, seconds=seconds)
    failed = [outcome.line() for outcome in outcomes if outcome.status == FAILED]
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hpss", {"mask": "hard", "margin": 2.0}),
        ("repet-sim", {"recipe": "librosa"}),
        ("oracle-irm", {"power": 1.0}),
    ],
)
def test_other_options_conform_too(name: str, options: dict[str, object]) -> None:
    separator = registry.plugin(name).separator
    assert separator is not None
    outcomes = examine(separator, options=options, seconds=SECONDS)
    failed = [outcome.line() for outcome in outcomes if outcome.status == FAILED]
    assert not failed, "\n".join(failed)


def test_every_folder_of_plugins_is_registered() -> None:
    (place,) = sepbench_plugins.__path__
    folders = {file.parent.name for file in Path(place).glob("*/__init__.py")}
    values = [point.value for point in entry_points(group=registry.GROUP)]
    own = [value for value in values if value.startswith("sepbench_plugins.")]
    assert folders == {value.partition(":")[0].split(".")[1] for value in own}
