from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sepbench import registry
from sepbench._util import entry_points
from sepbench.errors import SepbenchError

GOOD = """
from sepbench.separator import Separator
class Good(Separator):
    name = "good"
    summary = "Returns the mixture."
    stems = ("vocals",)
    license = "MIT"
    citation = "none"
    def separate(self, mixture):
        return {"vocals": mixture}
"""

BROKEN = {
    "explodes": ("raise RuntimeError('no\\nluck')", "RuntimeError: no luck"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "lacks": ("import a_module_that_is_not_here", "No module named 'a_module_that_is_not_here'"),
    "wrong-base": ("class Good: pass", "not a subclass of sepbench.Separator"),
    "abstract": (GOOD.replace("def separate", "def other"), "does not define separate"),
    "factless": (
        GOOD.replace("    license = 'MIT'\n", "").replace('license = "MIT"', ""),
        "license",
    ),
    "misnamed": (GOOD, "must be the same word"),
    "odd-stems": (
        GOOD.replace('"good"', '"odd-stems"').replace('("vocals",)', '("Lead Voice",)'),
        "stems ('Lead Voice',): declare a tuple of 1 to 64 different names",
    ),
}


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[EntryPoint]]:
    monkeypatch.syspath_prepend(str(tmp_path))
    points: dict[str, list[EntryPoint]] = {}
    for name, source in {"good": GOOD, **{key: value[0] for key, value in BROKEN.items()}}.items():
        module = f"plugin_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        points[name] = [EntryPoint(name, f"{module}:Good", registry.GROUP)]
    points["twice"] = [
        EntryPoint("twice", "plugin_good:Good", registry.GROUP),
        EntryPoint("twice", "plugin_misnamed:Good", registry.GROUP),
    ]
    monkeypatch.setattr(
        entry_points,
        "find",
        lambda group, real=entry_points.find: points if group == registry.GROUP else real(group),
    )
    return points


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_listed_with_its_reason(
    plugins: dict[str, list[EntryPoint]], name: str
) -> None:
    entry = next(entry for entry in registry.plugins() if entry.name == name)
    assert entry.separator is None
    assert entry.broken
    assert BROKEN[name][1] in (entry.reason or "")
    assert "\n" not in (entry.reason or "")


def test_broken_plugins_leave_the_good_one_usable(plugins: dict[str, list[EntryPoint]]) -> None:
    usable = [entry.name for entry in registry.plugins() if entry.separator is not None]
    assert usable == ["good"]
    (method,) = registry.resolve("good")
    assert method.label == "good"


def test_two_plugins_of_one_name_are_both_refused(plugins: dict[str, list[EntryPoint]]) -> None:
    with pytest.raises(SepbenchError, match="two plugins have this name"):
        registry.resolve("twice")


def test_an_unknown_method_is_met_with_the_nearest_name() -> None:
    with pytest.raises(SepbenchError, match="did you mean 'repet-sim'"):
        registry.resolve("repetsim")


def test_variants_that_are_equal_run_once() -> None:
    methods = registry.resolve_all(["mixture", "mixture[gain=1]", "mixture[gain=0.5]"])
    assert [method.label for method in methods] == ["mixture", "mixture[gain=0.5]"]


def test_facts_of_every_bundled_method_are_read_without_torch() -> None:
    import subprocess

    code = (
        "import sys; from sepbench import registry\n"
        "found = [registry.metadata(e.separator) for e in registry.plugins() if e.reason is None]\n"
        "assert len(found) >= 6, found\n"
        "heavy = {'torch', 'librosa', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
