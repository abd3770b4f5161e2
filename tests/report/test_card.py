from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from rich.console import Console

from sepbench.cli.main import main
from sepbench.evaluation.records import Record, StemResult
from sepbench.evaluation.store import Settings, Store
from sepbench.report import card

NAMES = ("SI-SDR", "SI-SIR", "SI-SAR", "SD-SDR", "SNR", "SRR")
VALUES = {
    "one": {"vocals": 1.0, "accompaniment": 5.0},
    "two": {"vocals": 4.0, "accompaniment": 7.0},
}


def stored(folder: Path) -> Store:
    """A run in which every nussl score of a stem is the same, and the mixture's is -2."""
    store = Store.create(folder, Settings("some", "test"))
    stems = ("vocals", "accompaniment")
    for track, levels in VALUES.items():
        results = {
            stem: StemResult(
                stems,
                {},
                {f"nussl {name}": value for name in NAMES},
                {},
                {f"nussl {name}": -2.0 for name in ("SI-SDR", "SD-SDR", "SNR")},
            )
            for stem, value in levels.items()
        }
        store.save(
            Record(
                dataset="some", subset="test", track=track, label="hpss", method="hpss",
                options={}, fingerprint=track, identity={"audio": track}, stems=results,
                seconds=1.0, audio_seconds=4.0, peak_bytes=1,
            )
        )  # fmt: skip
    return store


def test_a_card_has_mean_and_spread_of_all_stems_and_of_each(tmp_path: Path) -> None:
    stored(tmp_path / "run")
    done = CliRunner().invoke(
        main, ["report", str(tmp_path / "run"), "--protocol", "nussl", "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    found = {(row["metric"], row["stem"]): (row["mean"], row["std"], row["count"]) for row in rows}
    every = [value for levels in VALUES.values() for value in levels.values()]
    assert found["SI-SDR", "overall"] == pytest.approx((np.mean(every), np.std(every, ddof=1), 4))
    assert found["SRR", "vocals"] == pytest.approx((2.5, np.std([1, 4], ddof=1), 2))
    assert found["SI-SDRi", "accompaniment"] == pytest.approx((8.0, np.std([5, 7], ddof=1), 2))
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    assert metrics == [
        "SI-SDR",
        "SI-SDRi",
        "SI-SIR",
        "SI-SAR",
        "SD-SDR",
        "SD-SDRi",
        "SNR",
        "SNRi",
        "SRR",
    ]


@pytest.mark.slow
def test_a_card_is_shown_in_the_terminal_and_as_markdown(tmp_path: Path) -> None:
    stored(tmp_path / "run")
    arguments = ["report", str(tmp_path / "run"), "--protocol", "nussl"]
    shown = CliRunner().invoke(main, arguments)
    assert "mean ± standard deviation over tracks" in shown.output
    assert "4.25 ± 2.50" in shown.output
    text = CliRunner().invoke(main, [*arguments, "--format", "markdown"]).stdout
    assert text.splitlines()[0] == "| method | score | overall | vocals | accompaniment |"
    assert "| hpss | SNR | 4.25 ± 2.50 | 2.50 ± 2.12 | 6.00 ± 1.41 |" in text
    data = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert len(data["card"]) == 27
    other = CliRunner().invoke(main, ["report", str(tmp_path / "run"), "--json"])
    assert "card" not in json.loads(other.stdout)


def made(*labels: str, protocol: str = "nussl") -> pd.DataFrame:
    """The card of one score of each method for one track."""
    row = {"metric": "SNR", "stem": "vocals", "value": 3.0, "improvement": np.nan}
    scores = [{**row, "label": label, "protocol": protocol} for label in labels]
    return card.card(pd.DataFrame(scores), protocol)


def test_methods_are_shown_with_their_options() -> None:
    labels = ("hpss[margin=2]", "hpss[margin=4]", "onnx[/home/me/card.yaml]")
    console = Console(width=200)
    with console.capture() as shown:
        console.print(card.table(made(*labels)))
    assert [line.split()[0] for line in shown.get().splitlines()[2:]] == list(labels)


@pytest.mark.parametrize(
    ("protocol", "end"),
    [("nussl", "tracks, dB"), ("loudness", "tracks, LU"), ("2f-model", "tracks")],
)
def test_the_title_of_a_card_has_the_unit_of_its_protocol(protocol: str, end: str) -> None:
    assert str(card.table(made("a", protocol=protocol)).title).endswith(end)


def test_one_track_has_no_spread() -> None:
    found = made("a")
    assert [row["std"] for row in card.plain(found)] == [None, None]
    assert "| a | SNR | 3.00 | 3.00 |" in card.as_markdown(found)


def test_errors_of_opposite_sign_do_not_make_up_for_each_other() -> None:
    rows = pd.DataFrame(
        {
            "protocol": "loudness",
            "label": "a",
            "metric": "difference",
            "stem": "vocals",
            "value": [-6.0, 6.0, -6.0],
            "improvement": [-1.0, 1.0, np.nan],
        }
    )
    found = {row["metric"]: row for row in card.plain(card.card(rows, "loudness"))}
    assert (found["difference"]["mean"], found["difference"]["std"]) == (6.0, 0.0)
    assert found["differencei"]["mean"] == 0.0
