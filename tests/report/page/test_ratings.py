from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import run

from sepbench.errors import SepbenchError
from sepbench.report import ratings, tables

from .conftest import NAMES


def trial(rating: int, track: str = "Song", subset: str = "test") -> dict[str, Any]:
    """Return the ratings of an excerpt, as the page exports them."""
    reference = {"source": "reference", "kind": "reference", "rating": 100}
    method = {"source": "good", "kind": "method", "rating": rating}
    facts = {"track": track, "subset": subset, "stem": "vocals"}
    return {**facts, "ratings": [reference, method]}


def export(path: Path, listener: str, *trials: dict[str, Any], **others: Any) -> Path:
    plain = {"format": ratings.FORMAT, "listener": listener, "ratings": [*trials], **others}
    path.write_text(json.dumps(plain))
    return path


def given(run: Path) -> list[int]:
    """Return the ratings of the method."""
    table = ratings.table(run)
    return sorted(table.loc[table["kind"].eq("method"), "rating"])


def test_songs_of_one_name_in_two_subsets_are_two_excerpts(tmp_path: Path) -> None:
    both = [trial(90), trial(30, subset="train")]
    ratings.add([export(tmp_path / "ann", "ann", *both)], tmp_path)
    table = ratings.table(tmp_path)
    (good,) = (one for one in ratings.opinions(table) if one.source == "good")
    assert (good.over, good.count, good.mean) == ("tracks", 2, 60)
    assert ratings.describe(table, []) == "1 listener, 2 excerpts"


def test_a_metric_is_compared_with_ratings_of_the_same_subset(tmp_path: Path) -> None:
    said = [trial(50 + 5 * n, f"Song {n % 3}", ("test", "train")[n // 3]) for n in range(6)]
    ratings.add([export(tmp_path / "ann", "ann", *said)], tmp_path)
    facts = {"stem": "vocals", "label": "good", "protocol": "mdx", "metric": "uSDR"}
    scores = pd.DataFrame(
        [
            {**facts, "track": one["track"], "subset": one["subset"], "value": float(n)}
            for n, one in enumerate(said)
        ]
    )
    (found,) = ratings.agreement(ratings.table(tmp_path), scores)
    assert (found.pairs, found.pearson) == (6, pytest.approx(1))


def test_other_excerpts_of_one_listener_are_added_and_none_counts_twice(tmp_path: Path) -> None:
    heard = {"a": "good", "b": "poor", "right": True}
    first = export(tmp_path / "1", "ann", trial(80), abx=[heard, heard])
    second = export(tmp_path / "2", "ann", trial(60, "Other"))
    whole = export(tmp_path / "3", "ann", trial(80), trial(60, "Other"), trial(70), abx=[heard] * 3)
    for files, said in (
        ([first], [80]),
        ([second], [60, 80]),
        ([second, first], [60, 80]),
        ([whole], [60, 70, 80]),
        ([first], [60, 70, 80]),  # An older export takes nothing away.
    ):
        ratings.add(files, tmp_path)
        assert given(tmp_path) == said
    kept = json.loads((tmp_path / "ratings" / "ann.json").read_text())
    assert kept["abx"] == [heard] * 3


def test_other_ratings_of_one_excerpt_by_one_listener_are_refused(tmp_path: Path) -> None:
    anna, ben = export(tmp_path / "anna", "x", trial(90)), export(tmp_path / "ben", "x", trial(20))
    with pytest.raises(SepbenchError) as caught:
        ratings.add([anna, ben], tmp_path)
    assert str(caught.value) == (
        f"{ben}: rates vocals of 'test/Song' otherwise than {anna} does under the same listener, "
        "x; if they are two people, change 'listener' in ben, else delete the file that is not to "
        "count"
    )
    assert not (tmp_path / "ratings").exists()
    ratings.add([anna], tmp_path)
    with pytest.raises(SepbenchError, match=r"ratings/x\.json"):
        ratings.add([ben], tmp_path)
    assert given(tmp_path) == [90]
    ratings.add([export(ben, "y", trial(20))], tmp_path)
    assert given(tmp_path) == [20, 90]


def test_a_damaged_file_of_the_run_says_what_to_do(tmp_path: Path) -> None:
    ann = export(tmp_path / "ann", "ann", trial(90))
    ratings.add([ann], tmp_path)
    kept = tmp_path / "ratings" / "ann.json"
    kept.write_text("{")
    with pytest.raises(SepbenchError, match=r"ann\.json: not JSON; delete it and import"):
        ratings.add([ann], tmp_path)
    kept.unlink()
    ratings.add([ann], tmp_path)
    assert given(tmp_path) == [90]


METHODS = ("good", "poor")


def exported(path, listener, rating, *, reference=100):
    """Write ratings of two songs as the page exports them; ``rating`` gives that of a method."""
    trials = [
        {
            "track": track,
            "subset": "test",
            "stem": "vocals",
            "ratings": [
                {"source": "reference", "kind": "reference", "rating": reference},
                *({"source": m, "kind": "method", "rating": rating(m, n)} for m in METHODS),
            ],
        }
        for n, track in enumerate(NAMES)
    ]
    plain = {"format": ratings.FORMAT, "listener": listener, "ratings": trials, "abx": []}
    path.write_text(json.dumps(plain))
    return path


def test_opinions_are_means_over_songs_with_their_interval(tmp_path) -> None:
    for n, name in enumerate(("ann", "bob")):
        said = exported(
            tmp_path / name, name, lambda m, k, n=n: 80 + k + 4 * n - 50 * (m != "good")
        )
        ratings.add([said], tmp_path)
    table = ratings.table(tmp_path)
    reference, good, poor = ratings.opinions(table)
    assert reference.kind == "reference"
    assert (good.source, good.mean, good.over, good.count) == ("good", 83.5, "tracks", 4)
    assert good.interval.low < good.mean < good.interval.high
    assert poor.mean == 33.5
    ratings.add([tmp_path / "ann"], tmp_path)
    assert len(ratings.table(tmp_path)) == len(table), "a second export of a listener is the same"


def test_listeners_who_miss_the_hidden_reference_are_named(tmp_path) -> None:
    for name, reference in (("ann", 100), ("bob", 60)):
        said = exported(tmp_path / name, name, lambda m, k: 50, reference=reference)
        ratings.add([said], tmp_path)
    assert ratings.unreliable(ratings.table(tmp_path)) == ["bob"]


def test_an_import_says_if_no_listener_is_left(made_run, tmp_path) -> None:
    folder = shutil.copytree(made_run.folder, tmp_path / "run")
    said = exported(tmp_path / "bob", "bob", lambda m, k: 50, reference=60)
    imported = run("listen", "import", folder, said)
    assert imported.exit_code == 0, imported.output
    assert "--all-listeners counts them all" in imported.output
    assert "--all-listeners" not in run("listen", "import", folder, said, "--all-listeners").output


def test_a_metric_that_orders_as_listeners_do_agrees_with_them(made_run, tmp_path) -> None:

    scores = tables.scores(made_run.records())
    value = scores[scores["metric"].eq("uSDR") & scores["stem"].eq("vocals")]
    known = {(row.label, row.track): row.value for row in value.itertuples()}
    said = exported(tmp_path / "ann", "ann", lambda m, n: 50 + 2 * known[m, NAMES[n]])
    ratings.add([said], tmp_path)
    found = ratings.agreement(ratings.table(tmp_path), scores)
    of_metric = {(one.stem, one.metric): one for one in found}
    assert of_metric["vocals", "uSDR"].spearman == pytest.approx(1)
    assert of_metric["vocals", "uSDR"].pearson == pytest.approx(1)
    assert of_metric["vocals", "uSDR"].pairs == 8
    assert ("accompaniment", "uSDR") not in of_metric


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": "other"}, "not 'sepbench ratings 1'"),
        ({"listener": "../../x"}, "letters and digits"),
        ({"ratings": [{"track": "a"}]}, "a trial without ratings"),
        (
            {
                "ratings": [
                    {
                        "track": "a",
                        "subset": "b",
                        "stem": "c",
                        "ratings": [{"source": "x", "kind": "method", "rating": 101}],
                    }
                ]
            },
            "0 to 100",
        ),
    ],
)
def test_what_the_page_has_not_exported_is_refused(tmp_path, change, fault) -> None:
    plain = {"format": ratings.FORMAT, "listener": "ann", "ratings": []} | change
    (tmp_path / "file").write_text(json.dumps(plain))
    good = exported(tmp_path / "bob", "bob", lambda m, n: 50)
    with pytest.raises(SepbenchError, match=fault):
        ratings.add([good, tmp_path / "file"], tmp_path)
    assert not (tmp_path / "ratings").exists()


def test_ratings_of_another_run_are_refused(tmp_path) -> None:
    said = exported(tmp_path / "ann", "ann", lambda m, n: 50)
    with pytest.raises(SepbenchError, match="rates no track and method of this run"):
        ratings.add([said], tmp_path, {("another song", "good")})
    ratings.add([said], tmp_path, {(NAMES[0], "good")})
    assert set(ratings.table(tmp_path)["listener"]) == {"ann"}


def test_ratings_of_stems_that_another_run_made_are_refused(tmp_path) -> None:
    said = exported(tmp_path / "ann", "ann", lambda m, n: 50)
    plain = json.loads(said.read_text())
    for trial in plain["ratings"]:
        for one in trial["ratings"][1:]:
            one["made"] = f"by {one['source']}"
    made = {("test", name, label): f"by {label}" for name in NAMES for label in METHODS}
    changed = made | {("test", NAMES[1], "good"): "by other weights"}
    ratings.add([said], tmp_path, None, changed)  # An older page does not say how.
    (tmp_path / "bob").write_text(json.dumps(plain | {"listener": "bob"}))
    with pytest.raises(SepbenchError, match=r"rates good on .* as another run made it"):
        ratings.add([tmp_path / "bob"], tmp_path, None, changed)
    ratings.add([tmp_path / "bob"], tmp_path, None, made)
    assert set(ratings.table(tmp_path)["listener"]) == {"ann", "bob"}


def test_the_interval_of_a_mean_opinion_is_within_the_scale(tmp_path: Path) -> None:
    said = [trial(rating, f"Song {rating}") for rating in (70, 98, 100)]
    ratings.add([export(tmp_path / "ann", "ann", *said)], tmp_path)
    table = ratings.table(tmp_path)
    good = next(one for one in ratings.opinions(table) if one.source == "good")
    assert good.interval.low < 70
    assert good.interval.high == 100
    table["rating"] = 100 - table["rating"]
    good = next(one for one in ratings.opinions(table) if one.source == "good")
    assert good.interval.low == 0


def test_a_listener_who_rated_an_excerpt_twice_counts_as_one_listener(tmp_path: Path) -> None:
    ann = [trial(10), trial(30), trial(50, "Other")]  # The page keeps both ratings.
    bob = [trial(80), trial(50, "Other")]
    for name, said in (("ann", ann), ("bob", bob)):
        ratings.add([export(tmp_path / name, name, *said)], tmp_path)
    good = next(one for one in ratings.opinions(ratings.table(tmp_path)) if one.source == "good")
    assert good.mean == (((10 + 30) / 2 + 80) / 2 + 50) / 2
