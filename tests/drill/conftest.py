from __future__ import annotations

import pytest


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave the drill out unless it is asked for."""
    return None if config.option.markexpr == "drill" else True
