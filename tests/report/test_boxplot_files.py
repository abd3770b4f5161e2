"""Files of boxplots: the same scores give the same bytes, whole or absent."""

import os
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from made_runs import SIX, TRACKS, TWELVE

from sepbench.errors import SepbenchError
from sepbench.report.boxplot import boxplot, save


@pytest.mark.slow
def test_same_scores_give_the_same_bytes(run, tmp_path):
    scores = run(TWELVE, TRACKS[:12])
    first, second = (save(boxplot(scores), tmp_path / name) for name in "ab")
    assert [path.name for path in first] == ["boxplot.png", "boxplot.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert b"dc:date" not in first[1].read_bytes()


@pytest.mark.slow
def test_order_of_rows_does_not_matter(run, tmp_path):
    scores = run(SIX, TRACKS[:8])
    shuffled = scores.sample(frac=1, random_state=3)
    pictures = [
        save(boxplot(rows), tmp_path / name)[0].read_bytes()
        for rows, name in ((scores, "a"), (shuffled, "b"))
    ]
    assert pictures[0] == pictures[1]


@pytest.mark.slow
@pytest.mark.parametrize("failed", [{("hpss", TRACKS[0])}, set()])
def test_scores_read_back_from_csv_give_the_same_picture(run, tmp_path, failed):
    scores = run(SIX, TRACKS[:8], failed=failed)
    scores.to_csv(tmp_path / "scores.csv", index=False)
    read = pd.read_csv(tmp_path / "scores.csv")
    one, other = (
        save(boxplot(rows), tmp_path / name)[0] for rows, name in ((scores, "a"), (read, "b"))
    )
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_settings_of_the_caller_change_nothing_and_stay(run, tmp_path):
    scores = run(SIX, TRACKS[:8], ("vocals",))
    own = save(boxplot(scores), tmp_path / "a")[0].read_bytes()
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "xtick.labelsize": 3}):
        assert save(boxplot(scores), tmp_path / "b")[0].read_bytes() == own
        assert mpl.rcParams["font.size"] == 20


def test_pyplot_keeps_no_figure(run):
    boxplot(run(SIX, TRACKS[:8]))
    from matplotlib import pyplot

    assert not pyplot.get_fignums()


@pytest.mark.slow
def test_a_picture_is_whole_or_absent(run, tmp_path, monkeypatch):
    page = boxplot(run(SIX, TRACKS[:1]))
    old = save(page, tmp_path)[0].read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SepbenchError, match=r"boxplot\.png: cannot write: No space left"):
        save(page, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "boxplot.png").read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["boxplot.png", "boxplot.svg"]


def test_a_folder_that_cannot_be_made_is_reported(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SepbenchError, match="cannot write"):
        save(boxplot(run(SIX, TRACKS[:1])), Path(tmp_path / "file" / "plots"))
