from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_runs import SIX, TRACKS, TWELVE

from sepbench.errors import SepbenchError
from sepbench.report.boxplot import boxplot
from sepbench.report.intervals import interval
from sepbench.report.published import published_rows

LONG = "demucs[shifts=4,overlap=0.25,segment=7.8,split=true,model=htdemucs_ft,jobs=2,clip=rescale]"
FOUR = ("vocals", "drums", "bass", "other")


def labels(axes):
    return [label.get_text().replace("\n", "") for label in axes.get_yticklabels()]


def caption(page):
    return page.get_supxlabel().replace("\n", " ")


def medians(axes):
    """Return the positions of the median lines that are drawn, from the top."""
    lines = [line for line in axes.lines if line.get_linewidth() == pytest.approx(1.8)]
    return [line.get_xdata()[0] for line in sorted(lines, key=lambda line: line.get_ydata()[0])]


def intervals(axes):
    """Return the ends of the intervals that are drawn, from the top."""
    (bars,) = [bars for bars in axes.collections if bars.get_zorder() == 5]
    return [bar[:, 0].tolist() for bar in bars.get_segments()]


@pytest.mark.slow
def test_methods_stand_by_median_under_the_oracles_and_the_medians_are_those_of_the_scores(run):
    scores = run(TWELVE, TRACKS, FOUR)
    page = boxplot(scores)
    assert [axes.get_label() for axes in page.axes] == list(FOUR)
    for axes in page.axes:
        own = scores[scores["stem"] == axes.get_label()].groupby("label")["value"].median()
        shown = labels(axes)
        assert sorted(shown) == sorted(TWELVE)
        assert all(label.startswith("oracle") for label in shown[:3])
        for group in (shown[:3], shown[3:]):
            assert list(own[group]) == sorted(own[group], reverse=True)
        np.testing.assert_allclose(medians(axes), own[shown], rtol=1e-12)
        written = [text.get_text() for text in axes.texts]
        for value in own:
            assert f"{value:.2f}".replace("-", "−") in written


def test_floor_and_ceiling_are_the_mixture_and_the_best_oracle(run):
    scores = run(TWELVE, TRACKS)
    (axes, _) = boxplot(scores).axes
    oracle = scores[(scores["label"] == "oracle-mwf") & (scores["stem"] == "vocals")]
    drawn = {
        line.get_linestyle(): line.get_xdata()[0]
        for line in axes.lines
        if line.get_linestyle() in ("--", ":")
    }
    assert drawn == {"--": -6.0, ":": pytest.approx(oracle["value"].median())}
    assert "mixture −6.00" in [text.get_text() for text in axes.texts]


@pytest.mark.slow
def test_caption_names_protocol_data_and_tracks_and_what_is_missing(run):
    failed = {("unet", TRACKS[0]), ("unet", TRACKS[1]), ("hpss", TRACKS[1])}
    scores = run(TWELVE, TRACKS, failed=failed, trained=("mask-cnn",))
    silent = (scores["label"] == "repet-sim") & (scores["track"] == TRACKS[5])
    scores.loc[silent & (scores["stem"] == "drums"), "value"] = np.nan
    page = boxplot(scores, remarks=["From each track 30 s."])
    text = caption(page)
    assert (
        "protocol sisec18: BSSEval v4 by windows of 1 s; median over windows, then median" in text
    )
    assert "musdb18, subset test: 50 tracks" in text
    assert "failed: hpss 1 of 50, unet 2 of 50" in text
    assert "silent stem: drums 1 (repet-sim)" in text
    assert "75% (vocals+drums)" in text
    assert "† trained on" in text
    assert "From each track 30 s." in text
    assert "mask-cnn †" in labels(page.axes[0])
    written = [text.get_text() for text in page.axes[0].texts]
    assert written.count("48") == 1
    assert written.count("49") == 1


def test_a_track_that_is_silent_to_all_is_counted_and_has_no_score(run):
    scores = run({"unet": 4.0, "hpss": 2.0}, TRACKS[:6], ("vocals", "drums"))
    scores.loc[scores["track"] == TRACKS[0], "value"] = np.nan
    scores.loc[(scores["track"] == TRACKS[1]) & (scores["stem"] == "drums"), "value"] = np.nan
    text = caption(boxplot(scores))
    assert "musdb18, subset test: 6 tracks" in text
    assert "silent stem: vocals 1 (hpss, unet); drums 2 (hpss, unet)" in text


def test_scores_in_other_sets_of_stems_are_named(run):
    four = run({"unet": 4.0}, TRACKS[:6], FOUR)
    two = run({"hpss": 1.0, "repet-sim": 2.0}, TRACKS[:6], ("vocals", "accompaniment"))
    text = caption(boxplot(pd.concat([four, two], ignore_index=True)))
    assert (
        "Vocals scored within vocals+accompaniment, but unet within vocals+drums+bass+other" in text
    )


def test_one_track_is_points_at_their_values_and_no_box(run):
    page = boxplot(run(SIX, ["Falcon 69"], dataset="excerpt", subset="excerpt"))
    axes = page.axes[0]
    assert not axes.patches[1:]
    places = {tuple(point) for dots in axes.collections for point in dots.get_offsets().tolist()}
    assert {(8.0, 1.0), (9.0, 0.0), (-6.0, 5.0)} <= places
    text = caption(page)
    assert "Data set excerpt: 1 track (Falcon 69)." in text
    assert "No method failed" in text


@pytest.mark.parametrize("count", [2, 4])
def test_a_few_tracks_are_points_with_their_median(run, count):
    scores = run(SIX, TRACKS[:count], ("vocals",))
    axes = boxplot(scores).axes[0]
    strokes = axes.collections[-1].get_offsets()
    own = scores.groupby("label")["value"].median()
    np.testing.assert_allclose(strokes[:, 0], own[labels(axes)])
    assert not medians(axes)


def test_songs_of_one_name_in_two_subsets_are_two_tracks(run):
    scores = pd.concat(
        [
            run({"mixture": -6.0, "unet": 4.0}, ["Song"], ("vocals",)),
            run({"mixture": 2.0, "unet": 8.0}, ["Song"], ("vocals",), mixture=2.0, subset="train"),
        ],
        ignore_index=True,
    )
    page = boxplot(scores)
    (axes,) = page.axes
    text = caption(page)
    assert ": 2 tracks." in text
    assert "One point per track; vertical stroke: their median" in text
    assert "without a score" not in text
    written = [shown.get_text() for shown in axes.texts]
    assert "median" in written
    assert "mixture −2.00" in written  # The median of both songs' mixtures.


def test_failures_on_songs_of_one_name_are_counted_apart(run):
    songs = [
        run({"unet": 4.0, "hpss": 2.0}, ["Song", "Other"], subset=subset, failed={("hpss", "Song")})
        for subset in ("test", "train")
    ]
    assert "failed: hpss 2 of 4" in caption(boxplot(pd.concat(songs, ignore_index=True)))


def test_panels_of_as_many_methods_are_beside_each_other(run):
    drums = run({"mixture": -3.0}, TRACKS[:1], ("drums", "bass"))
    voice = run(SIX, TRACKS[:1], ("vocals", "accompaniment"))
    page = boxplot(pd.concat([drums, voice], ignore_index=True))
    heads = [[axes.get_label() for axes in page.axes[start : start + 2]] for start in (0, 2)]
    assert heads == [["vocals", "accompaniment"], ["drums", "bass"]]


def test_points_are_drawn_over_boxes_of_few_tracks_only(run):
    for count, points in ((12, 12 * len(SIX)), (50, 0)):
        axes = boxplot(run(SIX, TRACKS[:count], ("vocals",))).axes[0]
        assert len(medians(axes)) == len(SIX)
        dots = [each for each in axes.collections if each.get_zorder() == 4]
        assert sum(len(each.get_offsets()) for each in dots) == points


def test_protocols_with_a_mean_sort_and_print_means(run):
    scores = run({"steady": 3.0, "lucky": 2.0}, TRACKS, protocol="mdx", metric="uSDR")
    first = scores["label"].eq("lucky") & scores["track"].eq(TRACKS[0])
    scores.loc[first, "value"] = 200.0
    axes = boxplot(scores, protocol="mdx").axes[0]
    assert labels(axes) == ["lucky", "steady"]
    assert "mean" in [text.get_text() for text in axes.texts]
    # The song at 200 dB does not squeeze the others, and is not hidden either.
    assert axes.get_xlim()[1] < 10
    assert "1▸" in [text.get_text() for text in axes.texts]


def test_a_far_song_of_every_method_stays_countable(run):
    scores = run(SIX, TRACKS)
    scores.loc[scores["track"] == TRACKS[3], "value"] -= 60
    axes = boxplot(scores).axes[0]
    assert [text.get_text() for text in axes.texts].count("◂1") == len(SIX)
    assert axes.get_xlim()[0] > -20


def test_rows_of_other_protocols_and_metrics_do_not_enter(run):
    scores = run(SIX, TRACKS)
    others = [
        run(SIX, TRACKS, protocol="mdx").assign(value=99.0),
        run(SIX, TRACKS, metric="SIR").assign(value=99.0),
    ]
    page = boxplot(pd.concat([scores, *others], ignore_index=True))
    np.testing.assert_array_equal(medians(page.axes[0]), medians(boxplot(scores).axes[0]))


def test_no_scores_and_pooled_scores_are_reported(run):
    with pytest.raises(SepbenchError, match="no SIR of protocol sisec18"):
        boxplot(run(SIX, TRACKS), metric="SIR")
    with pytest.raises(SepbenchError, match="pooled"):
        boxplot(run(SIX, TRACKS), protocol="pooled")
    with pytest.raises(SepbenchError, match="no SDR"):
        boxplot(run({"unet": 1.0}, TRACKS[:1], failed={("unet", TRACKS[0])}))


@pytest.mark.slow
def test_text_is_whole_and_apart_from_other_text(run, check_legible):
    check_legible(boxplot(run(SIX, ["Falcon 69"], ("vocals", "accompaniment"))))
    check_legible(boxplot(run({"hpss": 1.0}, TRACKS[:3], ("percussive",))))
    check_legible(boxplot(run(TWELVE, TRACKS, FOUR, failed={("unet", TRACKS[0])})))
    check_legible(boxplot(run({**SIX, LONG: 7.0, "a$b_c$": 2.0}, TRACKS, trained=(LONG,))))
    # Floor and ceiling next to each other, at either end of the axis.
    check_legible(boxplot(run({"oracle-ibm": 0.0, "hpss": 15.0}, TRACKS, mixture=-0.1)))
    check_legible(boxplot(run({"oracle-ibm": 0.0, "hpss": -15.0}, TRACKS, mixture=-0.1)))
    check_legible(boxplot(run({"oracle-ibm": -1.0, "hpss": -5.0}, TRACKS, mixture=0.0)))


@pytest.mark.slow
def test_thirty_methods_and_the_published_ones_are_legible(run, check_legible):
    songs = sorted(set(page_tracks()))
    thirty = {
        **TWELVE,
        **{f"variant-{n}[depth={n}]": 0.2 * n for n in range(17)},
        LONG: 7.0,
    }
    scores = run(thirty, songs, FOUR)
    rows, reasons = published_rows(scores, whole_tracks=True)
    assert not reasons
    page = boxplot(pd.concat([scores, rows], ignore_index=True))
    check_legible(page)
    assert "Published: SiSEC 2018" in caption(page)
    assert "published, not run here" in [t.get_text() for t in page.legends[0].get_texts()]
    assert {"IRM2 (SiSEC18)", "oracle-irm"} <= set(labels(page.axes[0])[:8])
    width, height = page.get_size_inches()
    assert 0.5 < width / height < 3


def page_tracks():
    from sepbench.report.published import campaign

    return campaign()["track"]


def test_the_worst_of_a_hundred_methods_are_left_to_the_tables(run):
    hundred = {f"method-{n:03}": n / 10 for n in range(100)} | {"oracle-irm": 0.0}
    page = boxplot(run(hundred, TRACKS[:6], ("vocals",)))
    (axes,) = page.axes
    assert len(labels(axes)) == 60
    assert labels(axes)[0] == "oracle-irm"
    assert "method-099" in labels(axes)
    assert "method-000" not in labels(axes)
    assert "Only the best methods are drawn, the tables have all: vocals 60 of 101." in caption(
        page
    )


def test_below_each_row_is_the_interval_of_its_figure(run):
    scores = run(SIX, TRACKS[:12], ("vocals",))
    axes = boxplot(scores).axes[0]
    drawn = intervals(axes)
    assert len(drawn) == len(SIX)
    for ends, label in zip(drawn, labels(axes), strict=True):
        own = scores.loc[scores["label"].eq(label), "value"]
        assert ends == pytest.approx(interval(own, "median"))
    assert not intervals(boxplot(run(SIX, TRACKS[:1], ("vocals",))).axes[0])
