"""What ``report`` shows of one run, of a choice from it, and of several together."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from made_runs import make_run

from sepbench.cli.main import main
from sepbench.evaluation.store import Settings

pytestmark = pytest.mark.slow

LEVELS = {"unet": 5.0, "hpss[margin=2]": 1.0}


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("run"), LEVELS, 4)


def report(*words: str) -> Result:
    return CliRunner().invoke(main, ["report", *words])


def column(name: str, file: str) -> set[str]:
    with Path(file).open(newline="", encoding="utf-8") as opened:
        return {row[name] for row in csv.DictReader(opened)}


def test_a_choice_goes_to_a_folder_of_its_own() -> None:
    refused = report("run", "--method", "unet")
    assert refused.exit_code == 2
    assert "give --out FOLDER" in refused.output
    assert report("run").exit_code == 0
    whole = Path("run/scores.csv").read_bytes()

    words = ("--method", "HPSS*", "--track", "song 0[12]", "--stem", "vocals", "-o", "chosen")
    assert report("run", *words).exit_code == 0
    assert column("label", "chosen/scores.csv") == {"hpss[margin=2]"}
    assert column("track", "chosen/scores.csv") == {"song 01", "song 02"}
    assert column("stem", "chosen/scores.csv") == {"vocals"}
    assert column("tracks", "chosen/summary.csv") == {"2"}
    assert Path("chosen/boxplot.png").exists()
    assert Path("run/scores.csv").read_bytes() == whole
    nothing = report("run", "--method", "none", "-o", "chosen")
    assert nothing.exit_code == 2
    assert "no scores of none; it has tracks of hpss[margin=2], unet" in nothing.output
    unknown = report("run", "--stem", "vocal", "-o", "chosen")
    assert unknown.exit_code == 2
    assert "no scores of 'vocal'; there are vocals" in unknown.output


def test_the_heading_names_the_data_set_of_every_run() -> None:
    make_run(Path("other"), {"unet": 4.0}, 4, settings=Settings("musdb18", "test"))
    make_run(Path("more"), {"unet": 4.0}, 4)
    both = report("run", "more", "other", "-o", "both").output
    assert "SDR in dB, protocol sisec18, some-test and musdb18-test\n" in both
    assert "sisec18, some-test\n" in report("run", "more", "-o", "one").output


def test_runs_in_folders_of_one_name_are_all_there() -> None:
    for number, day in enumerate(("mon", "tue", "wed")):
        make_run(Path(day, "run"), {"unet": 5.0 + number}, 4, seed=number)
    found = report("mon/run", "tue/run", "wed/run", "-o", "three")
    assert found.exit_code == 0
    assert column("label", "three/scores.csv") == {"unet", "unet (tue/run)", "unet (wed/run)"}


@pytest.mark.parametrize("more", [("--page",), ("--listen", "1"), ("--json",)])
def test_a_table_alone_is_not_asked_for_with_more(more: tuple[str, ...]) -> None:
    refused = report("run", "--format", "csv", *more)
    assert refused.exit_code == 2
    assert "--format prints a table alone" in refused.output


def test_a_metric_that_the_protocol_lacks_is_named_with_those_that_it_has() -> None:
    wrong = report("run", "--format", "latex", "--metric", "sdr")
    assert wrong.exit_code == 2
    assert "protocol sisec18 has no metric 'sdr'; did you mean 'SDR'?" in wrong.output
    other = report("run", "--format", "latex", "--metric", "SI-SDR")
    assert "protocol sisec18 has no metric 'SI-SDR'; protocol si-sdr has it" in other.output
    alone = report("run", "--metric", "SIR")
    assert alone.exit_code == 2
    assert "--metric chooses the table of --format" in alone.output


def test_a_table_of_a_choice_is_printed_without_a_folder_for_it() -> None:
    report("run")
    before = {path: path.read_bytes() for path in Path("run").glob("*.csv")}
    assert before
    Path("run/summary.csv").write_text("older\n")
    before[Path("run/summary.csv")] = b"older\n"
    assert report("run", "--format", "csv").stdout.count("vocals") == 2
    printed = report("run", "--format", "csv", "-m", "unet", "--stem", "vocals")
    assert printed.exit_code == 0, printed.output
    rows = list(csv.DictReader(printed.stdout.splitlines()))
    assert [(row["label"], row["stem"]) for row in rows] == [("unet", "vocals")]
    assert before == {path: path.read_bytes() for path in Path("run").glob("*.csv")}


def test_a_metric_without_scores_is_no_empty_table() -> None:
    lacking = report("run", "--format", "csv", "--metric", "SAR")
    assert lacking.exit_code == 2
    assert lacking.output.endswith(
        "error: no scores of SAR under protocol sisec18; evaluate with --metric bsseval\n"
    )


def test_a_protocol_without_scores_is_one_line_and_writes_nothing() -> None:
    before = sorted(Path("run").iterdir())
    for more in ((), ("--format", "csv"), ("--json",)):
        result = report("run", "--protocol", "nussl", *more)
        assert result.exit_code == 2
        assert result.output.startswith("error: run: no scores of protocol nussl; choose from ")
        assert "pooled, si-sdr, sisec18" in result.output
        assert result.output.count("\n") == 1
    assert {path.name for path in set(Path("run").iterdir()) - set(before)} <= {"index.sqlite"}
    # Pooled windows have scores, but none of a track to draw.
    pooled = report("run", "--protocol", "pooled")
    assert pooled.exit_code == 0
    assert "warning: no plot: protocol pooled has no score of a single track" in pooled.stderr


def test_a_choice_does_not_replace_the_tables_of_a_run() -> None:
    assert report("run").exit_code == 0
    whole = Path("run/scores.csv").read_bytes()
    refused = report("run", "--method", "unet", "-o", "run")
    assert refused.exit_code == 2
    assert "run: a run, with tables of its own; choose another --out" in refused.output
    assert Path("run/scores.csv").read_bytes() == whole


def test_runs_of_other_tracks_become_one_row_and_of_other_scores_two() -> None:
    make_run(Path("rest"), {"unet": 5.0}, ["song 04", "song 05"])
    assert report("run", "rest", "-o", "both").exit_code == 0
    with Path("both/summary.csv").open(newline="", encoding="utf-8") as opened:
        counts = {(row["label"], row["tracks"]) for row in csv.DictReader(opened)}
    assert counts == {("unet", "6"), ("hpss[margin=2]", "4")}

    make_run(Path("again"), {"unet": 7.0}, 4)
    assert report("run", "again", "-o", "apart").exit_code == 0
    assert column("label", "apart/summary.csv") == {"unet", "unet (again)", "hpss[margin=2]"}

    make_run(Path("other"), {"cdae": 7.0}, 4, settings=Settings("some", "test", 0.0, 10.0))
    told = report("run", "other", "-o", "parts")
    assert "other is of some-test-10s, run of some-test: not the same songs" in told.output

    for name in ("A", "B"):
        own = Settings("folder", "test", root=f"/{name}/songs")
        make_run(Path(name), {"cdae": 7.0}, 4, settings=own)
    told = report("A", "B", "-o", "named alike")
    assert "B is of folder-songs-test, /B/songs, A of folder-songs-test, /A/songs" in told.output


def test_the_picture_of_a_protocol_leaves_that_of_another_alone() -> None:
    assert report("run").exit_code == 0
    first = Path("run/boxplot.png").read_bytes()
    assert report("run", "--protocol", "mean").exit_code == 0
    assert Path("run/boxplot-mean.png").exists()
    assert Path("run/boxplot.png").read_bytes() == first


def test_pictures_are_of_the_tables_beside_them() -> None:
    folder = Path("chosen")
    report("run", "--method", "unet", "-o", str(folder))
    report("run", "--method", "unet", "-o", str(folder), "--protocol", "mdx")
    (folder / "boxplot-mine.png").write_bytes(b"a copy")
    (folder / "boxplot-mdx.png").unlink()
    pictures = [folder / name for name in ("boxplot.png", "boxplot.svg", "boxplot-mdx.svg")]
    old = [path.read_bytes() for path in pictures]
    stamps = [path.stat().st_mtime_ns for path in pictures]
    report("run", "--method", "unet", "-o", str(folder), "--protocol", "pooled")
    assert [path.stat().st_mtime_ns for path in pictures] == stamps  # The table is the same.
    report("run", "--method", "hpss*", "-o", str(folder), "--protocol", "pooled")
    assert not any(path.read_bytes() == was for path, was in zip(pictures, old, strict=True))
    assert (folder / "boxplot-mine.png").read_bytes() == b"a copy"


def test_a_part_without_cells_is_left_out() -> None:
    make_run(Path("part1"), LEVELS, ["a"])
    make_run(Path("part2"), LEVELS, ["b"])
    for name in ("part3", "part4"):
        make_run(Path(name), {})
    found = report("part1", "part2", "part3", "--out", "all")
    assert found.exit_code == 0, found.output
    assert "part3: no scores yet, left out" in found.stderr
    assert column("track", "all/scores.csv") == {"a", "b"}
    none = report("part3", "part4", "--out", "none")
    assert (none.exit_code, none.output.count("\n")) == (2, 1)


@pytest.mark.parametrize("more", [("-o", "chosen"), ("-m", "unet"), ("--stem", "vocals"), ("two",)])
def test_a_page_is_of_one_whole_run(more: tuple[str, ...]) -> None:
    make_run(Path("two"), LEVELS, 4)
    refused = report("run", "--page", *more)
    assert refused.exit_code == 2
    assert "--page is of one whole run; leave --out, --method, --stem" in refused.output


def test_the_tables_of_a_page_have_all_songs() -> None:
    made = report("run", "--page", "--track", "song 01")
    assert made.exit_code == 0, made.output
    assert len(column("track", "run/scores.csv")) == 4


def test_failures_of_a_method_that_was_given_up_can_be_forgotten_and_scores_stay() -> None:
    lost = [("poor", f"song {n:02}") for n in range(3)] + [("good", "song 01")]
    store = make_run(Path("tried"), {"good": 5.0, "poor": 1.0}, 3, failed=lost)
    assert report("tried").exit_code == 0
    assert column("label", "tried/summary.csv") == {"good", "poor"}
    refused = report("tried", "--forget-failures", "unet*")
    assert refused.exit_code == 2
    assert "no failures of unet*; those that failed: good, poor" in refused.output
    result = report("tried", "--forget-failures", "POOR")
    assert result.exit_code == 0
    assert "forgotten: 3 failures of poor" in result.output
    assert column("label", "tried/scores.csv") == column("label", "tried/summary.csv") == {"good"}
    assert {(one.label, one.track) for one in store.records() if one.error} == {("good", "song 01")}
    assert sum(one.error is None for one in store.records()) == 2


def test_a_run_of_forgotten_failures_alone_is_one_line() -> None:
    make_run(Path("tried"), {"poor": 1.0}, 1, failed=[("poor", "song 00")])
    result = report("tried", "--forget-failures", "*")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].startswith("error: tried: no scores")
