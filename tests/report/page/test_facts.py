from __future__ import annotations

from sepbench.evaluation.records import Record, StemResult
from sepbench.evaluation.store import Settings
from sepbench.report import tables
from sepbench.report.page.facts import facts


def test_a_score_ends_in_the_same_digits_as_in_the_tables() -> None:
    # Rounded to three digits and then to two, they would be 3.85 and 5.67.
    for score, shown in ((3.844683, "3.84"), (5.675213, "5.68")):
        stem = StemResult(("vocals",), {"SDR": [score]}, {}, {"SDR": [0.0]}, {})
        record = Record("some", "test", "a", "m", "m", {}, "", {}, {"vocals": stem})
        settings, scores = Settings("some", "test"), tables.scores([record])
        found = facts([record], settings, scores, tables.summary([record]))
        (value,) = found["scores"]["sisec18"]["SDR"]["vocals"]["m"]
        assert f"{value:.2f}" == shown
