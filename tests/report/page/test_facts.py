from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from made_runs import make_run

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


def test_songs_of_one_name_in_two_subsets_are_two_songs(tmp_path: Path) -> None:
    store = make_run(tmp_path, {"good": 5.0, "poor": 3.0}, ["Song", "Other"])
    records = store.records()
    for record in store.records():
        if record.track == "Song":
            error = "out of memory" if record.label == "poor" else None
            stems = {} if error else {"vocals": replace(record.stems["vocals"], totals={"uSDR": 9})}
            records.append(replace(record, subset="train", stems=stems, error=error))
    scores = tables.scores(records)
    found = facts(records, store.settings, scores, tables.summary(records))
    assert set(found["tracks"]) == {"test/Song", "train/Song", "Other"}
    values = found["scores"]["mdx"]["uSDR"]["vocals"]
    shown = dict(zip(found["tracks"], values["good"], strict=True))
    own = scores[scores["label"].eq("good") & scores["metric"].eq("uSDR")]
    own = own[own["stem"].eq("vocals")].set_index(["subset", "track"])["value"].round(6)
    assert shown["train/Song"] == own["train", "Song"] == 9
    assert shown["test/Song"] == own["test", "Song"]
    assert shown["Other"] == own["test", "Other"]
    assert values["poor"][found["tracks"].index("train/Song")] is None
    assert found["figures"]["mdx"]["uSDR"]["vocals"]["good"][3] == 3
    assert [one["track"] for one in found["failures"]] == ["train/Song"]
