from __future__ import annotations

from pathlib import Path

import pytest

from sepbench._util.import_check import failures

MODULES = {
    "probed_good": "",
    "probed_raising": "raise SystemExit(3)",
    "probed_hanging": "import time; time.sleep(3600)",
    "probed_dying": "import os; os._exit(7)",
    "probed_talking": "print('probed_good'); import os; os.write(1, b'probed_good')",
    "probed_interrupting": "raise KeyboardInterrupt",
    "probed_making": """
class Quiet:
    pass
class Dies:
    def __init__(self):
        import os; os._exit(0)
""",
    "probed_staying": "from threading import Timer; Timer(99, print).start()",
}


@pytest.mark.slow
def test_only_imports_that_no_process_survives_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)
    made = ["probed_making:Quiet", "probed_making:Dies", "probed_making:Nothing"]
    found = failures([*MODULES, *made, "probed_nowhere", "sys", "probed_dying"], seconds=5)
    assert found == {
        "probed_interrupting": "raises KeyboardInterrupt",
        "probed_making:Dies": "kills its process (exit status 0)",
        "probed_hanging": "does not finish in 5 seconds",
        "probed_dying": "kills its process (exit status 7)",
    }


def test_nothing_is_started_for_what_is_imported_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    assert failures(["sys", "sepbench._util.import_check"]) == {}
