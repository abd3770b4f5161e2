"""Every method that sepbench brings passes the kit that it asks others to pass."""

from __future__ import annotations

import pytest

from sepbench import registry
from sepbench.testing import examine
from sepbench.testing.check import FAILED

SECONDS, LEARNED_SECONDS = 7.0, 2.0
"""Of the longest song; 'plugin check' takes longer ones."""

BUNDLED = [entry for entry in registry.plugins() if entry.distribution.startswith("sepbench ")]


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_every_bundled_method_conforms(entry: registry.PluginInfo) -> None:
    if entry.separator is None:
        assert not entry.broken, entry.reason
        pytest.skip(str(entry.reason))
    seconds = LEARNED_SECONDS if entry.separator.needs else SECONDS
    expected = {"audible"} if entry.name == "voice-gate" else set()  # The kit's song has no voice.
    outcomes = examine(entry.separator, seconds=seconds)
    failed = [o.line() for o in outcomes if o.status == FAILED and o.check not in expected]
    assert not failed, "\n".join(failed)


def test_the_bundled_methods_are_all_here() -> None:
    names = {entry.name for entry in BUNDLED}
    assert {"hpss", "repet-sim", "mask-cnn", "unet", "mixture", "oracle-mwf"} <= names
