from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which is empty, as is the cache of weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path
