"""What fails a pipeline by `sepbench compare`: worse methods, missing ones, floors."""

from dataclasses import replace

import pytest
from made_runs import LEVELS, records

from sepbench.errors import SepbenchError
from sepbench.report.gate import Floor, below, worse


@pytest.mark.slow
def test_the_gate_fails_what_is_surely_worse_and_passes_what_may_be_chance(saved) -> None:
    old = records(saved("old"))
    new = records(saved("new", {**LEVELS, "good": 5.0, "same": 5.97}, seed=5))
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"]}
    failed = {v.condition.split()[0] for v in worse(old, new, 0.1, strict=False, **how) if v.failed}
    assert failed == {"good"}
    assert not any(v.failed for v in worse(old, new, 3.0, strict=True, **how))
    few = [r for r in new if r.track < "song 04"]
    undecided = worse(old, few, 0.1, strict=False, **how)
    assert not any(v.failed for v in undecided)
    assert all("are needed" in v.reason for v in undecided)
    assert any(v.failed for v in worse(old, few, 0.1, strict=True, **how))


def test_a_method_that_fails_everywhere_fails_the_gate(saved) -> None:
    tracks = [f"song {n:02}" for n in range(8)]
    old = records(saved("old", {"good": 6.0}, tracks))
    new = records(saved("new", {"good": 6.0}, tracks, failed=[("good", name) for name in tracks]))
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": False}
    (verdict,) = worse(old, new, 0.1, **how)
    assert verdict.failed
    assert "failed on 8 tracks that the old one scored" in verdict.reason


def test_a_method_that_the_new_run_lacks_fails_the_gate_unless_it_is_left_out(saved) -> None:
    old = records(saved("old", {"good": 6.0, "gone": 5.0}, 8))
    new = records(saved("new", {"good": 6.0}, 8))
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": True}
    verdicts = worse(old, new, 1.0, **how)
    failed = [verdict.condition.split()[0] for verdict in verdicts if verdict.failed]
    assert failed == ["gone"]
    (verdict,) = worse(old, new, 1.0, methods=["go?d"], **how)
    assert not verdict.failed


def test_the_gate_leaves_out_tracks_whose_audio_differs(saved) -> None:
    old = records(saved("old", {"good": 6.0}, 8))
    new = [
        replace(record, identity={**record.identity, "audio": "other"})
        if record.track < "song 03"
        else record
        for record in records(saved("new", {"good": 6.0}, 8))
    ]
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": True}
    (verdict,) = worse(old, new, 1.0, **how)
    assert verdict.tracks == 5


def test_a_floor_fails_only_where_the_interval_is_below_it(saved) -> None:
    here = records(saved("a"))
    texts = ("good vocals SDR 3", "good vocals SDR 20", "good vocals SDR 6.8")
    floors = [Floor.parse(text) for text in texts]
    sure = below(here, floors, protocol="sisec18", strict=False, tests=3)
    assert [verdict.failed for verdict in sure] == [False, True, False]
    strict = below(here, floors, protocol="sisec18", strict=True, tests=3)
    assert [verdict.failed for verdict in strict] == [False, True, True]
    with pytest.raises(SepbenchError, match="METHOD STEM METRIC NUMBER"):
        Floor.parse("good 3")
    assert Floor.parse("a b vocals SDR 1").label == "a b"


def test_a_ceiling_is_given_and_shown_in_the_sign_of_its_score(saved) -> None:
    floor = Floor.parse("good vocals mrstft-gensvs 99")
    (sure,) = below(records(saved("a")), [floor], protocol="mrstft-gensvs", strict=False, tests=1)
    assert not sure.failed
    assert 0 < sure.interval.low < sure.value < sure.interval.high
    assert sure.limit == 99
