from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence

import pytest

from sepbench.evaluation.records import Record, StemResult
from sepbench.metrics.protocols import PROTOCOLS, of_metric, shown, used
from sepbench.registry.metrics import protocol, protocols_of, resolve_metrics
from sepbench.report.tables import summary

NAN, INF = math.nan, math.inf
TRACKS = [[1.0, 2.0, 9.0], [4.0, NAN, 6.0, 8.0, INF], [NAN, NAN], [3.0]]


def score_of(tracks: Sequence[Sequence[float]], name: str, statistic: str | None = None) -> float:
    """The summary of a run whose tracks have these windows, or one total each."""
    rules = protocol(name)
    (metric, *_) = rules.metrics
    records = []
    for number, scores in enumerate(tracks):
        frames = {metric: list(scores)} if rules.source == "frames" else {}
        totals = {} if rules.source == "frames" else {metric: scores[0]}
        floor = {metric: [0.0] * len(scores)} if frames else {}
        result = StemResult(("vocals",), frames, totals, floor, dict.fromkeys(totals, 0.0))
        records.append(
            Record("some", "test", str(number), "a", "a", {}, "", {}, stems={"vocals": result})
        )
    table = summary(records)
    rows = table[table["protocol"].eq(name) & table["metric"].eq(shown(metric))]
    return float(rows.set_index("statistic")["value"][statistic or rules.over_tracks[0]])


@pytest.mark.parametrize(
    ("protocol", "score"),
    [("sisec18", 3.0), ("mean", (4 + 6 + 3) / 3), ("pooled", 4.0)],
)
def test_each_protocol_has_its_own_figure(protocol, score):
    assert score_of(TRACKS, protocol) == pytest.approx(score)


def test_totals_are_reduced_over_tracks_alone():
    totals = [[1.0], [2.0], [NAN], [9.0]]
    assert score_of(totals, "mdx") == 4
    assert score_of(totals, "si-sdr") == 2
    assert score_of(totals, "nussl") == 4
    assert score_of(totals, "nussl", "median") == 2


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.id)
def test_nothing_to_aggregate_is_nan(protocol):
    assert math.isnan(protocol.of_track([NAN, INF, -INF]))


def test_aggregates_equal_musevals_store(museval):
    track = museval.TrackStore("song")
    frames = {name: [1.5, NAN, 4.25, INF, -2.0] for name in ("SDR", "ISR", "SIR", "SAR")}
    track.add_target("vocals", frames)
    store = museval.EvalStore()
    store.add_track(track)
    theirs = store.agg_frames_tracks_scores()["vocals"]["SDR"]
    assert score_of([frames["SDR"]], "sisec18") == pytest.approx(theirs)


def test_every_score_belongs_to_a_protocol():
    for metric in resolve_metrics(["all"]):
        for score in map(metric.id_of, (*metric.totals, *metric.frames)):
            (*_, found) = protocols_of([score]).values()
            assert score in found.metrics
            assert found.unit == metric.unit
    assert of_metric(metric) is not None


def test_share_of_windows_with_a_score():
    assert used(TRACKS[1]) == 0.6
    assert math.isnan(used([]))


def test_names_are_read_without_torch():
    code = "import sys, sepbench.metrics.protocols; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
