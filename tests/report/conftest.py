"""Scores of a made-up run, and what is written on a page."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_runs import LEVELS, make_run

from sepbench.report.tables import SCORE_COLUMNS


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes a run called by its first argument, and returns its folder."""

    def make(name, levels=LEVELS, tracks=16, **how):
        return make_run(tmp_path / name, levels, tracks, **how).folder

    return make


@pytest.fixture
def run():
    """Return a function that makes a run in which the method of ``methods`` scores as it says."""

    def make(
        methods, tracks, stems=("vocals", "drums"), *, failed=(), trained=(), mixture=-6.0, **facts
    ):
        noise = np.random.default_rng(7)
        rows = []
        for label, level in methods.items():
            for track in tracks:
                row = {
                    "dataset": "musdb18",
                    "subset": "test",
                    "track": track,
                    "label": label,
                    "method": label.partition("[")[0],
                    "options": label.partition("[")[2].rstrip("]"),
                    "oracle": label.startswith("oracle"),
                    "trained_on_this": label in trained,
                    "published": False,
                    "metric": "SDR",
                    "protocol": "sisec18",
                    "mixture": mixture,
                    "frames": 200,
                    "frames_used": 0.75,
                    "set": "+".join(stems),
                    "error": "",
                    **facts,
                }
                if (label, track) in failed:
                    lost = ("metric", "protocol", "mixture", "frames", "frames_used", "set")
                    rows.append({**row, **dict.fromkeys(lost, np.nan), "error": "out of memory"})
                    continue
                for stem in stems:
                    value = level + noise.normal() * (len(tracks) > 1)
                    rows.append(
                        {**row, "stem": stem, "value": value, "improvement": value - mixture}
                    )
        return pd.DataFrame(rows, columns=SCORE_COLUMNS)

    return make


@pytest.fixture
def words():
    """Return a function that gives all that is written on a page, as text and place in pixels."""

    def written(page):
        page.canvas.draw()
        renderer = page.canvas.get_renderer()
        artists = [*page.texts, *(text for key in page.legends for text in key.get_texts())]
        for axes in page.axes:
            artists += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes._left_title]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                for tick, place in zip(
                    axis.get_major_ticks(), axis.get_majorticklocs(), strict=True
                ):
                    if low - 1e-9 <= place <= high + 1e-9:
                        artists += [tick.label1, tick.label2]
        return [
            (artist.get_text(), artist.get_window_extent(renderer))
            for artist in artists
            if artist.get_visible() and artist.get_text().strip()
        ]

    return written


@pytest.fixture
def check_legible(words):
    """Return a function that fails where text leaves the page or lies on other text."""

    def check(page):
        placed = words(page)
        assert placed
        for text, box in placed:
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= page.bbox.width, text
            assert box.y1 <= page.bbox.height, text
        for (one, box), (other, place) in combinations(placed, 2):
            # One pixel of antialiasing may be shared.
            apart_x = box.x1 <= place.x0 + 1 or place.x1 <= box.x0 + 1
            apart_y = box.y1 <= place.y0 + 1 or place.y1 <= box.y0 + 1
            assert apart_x or apart_y, f"{one!r} lies on {other!r}"

    return check
