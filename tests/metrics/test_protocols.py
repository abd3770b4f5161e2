from __future__ import annotations

import math
import subprocess
import sys

import pytest

from sepbench.metrics.protocols import PROTOCOLS, of_metric, used
from sepbench.registry.metrics import protocol, protocols_of, resolve_metrics

NAN, INF = math.nan, math.inf
TRACKS = [[1.0, 2.0, 9.0], [4.0, NAN, 6.0, 8.0, INF], [NAN, NAN], [3.0]]


@pytest.mark.parametrize(
    ("protocol", "score"),
    [("sisec18", 3.0), ("mean", (4 + 6 + 3) / 3), ("pooled", 4.0)],
)
def test_each_protocol_has_its_own_figure(protocol, score):
    assert PROTOCOLS[protocol].of_data_set(TRACKS) == pytest.approx(score)


def test_totals_are_reduced_over_tracks_alone():
    totals = [[1.0], [2.0], [NAN], [9.0]]
    assert PROTOCOLS["mdx"].of_data_set(totals) == 4
    assert PROTOCOLS["si-sdr"].of_data_set(totals) == 2
    assert protocol("nussl").of_data_set(totals) == 4
    assert protocol("nussl").of_data_set(totals, "median") == 2
    with pytest.raises(ValueError, match="no median"):
        PROTOCOLS["mdx"].of_data_set(totals, "median")


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.id)
def test_nothing_to_aggregate_is_nan(protocol):
    assert math.isnan(protocol.of_track([NAN, INF, -INF]))
    assert math.isnan(protocol.of_data_set([[NAN], []]))
    assert math.isnan(protocol.of_data_set([]))


def test_aggregates_equal_musevals_store(museval):
    track = museval.TrackStore("song")
    frames = {name: [1.5, NAN, 4.25, INF, -2.0] for name in ("SDR", "ISR", "SIR", "SAR")}
    track.add_target("vocals", frames)
    store = museval.EvalStore()
    store.add_track(track)
    theirs = store.agg_frames_tracks_scores()["vocals"]["SDR"]
    assert PROTOCOLS["sisec18"].of_data_set([frames["SDR"]]) == pytest.approx(theirs)


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
