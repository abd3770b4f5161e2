from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fakes import Calm

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.separator import Separator, WeightFile
from sepbench.weights import files

CONTENT = {"voice.pth": b"voice" * 100, "rest.pth": b"rest" * 100}


def separator(source: Path, digits: int = 64) -> Separator:
    files = []
    for name, content in CONTENT.items():
        (source / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()[:digits]
        files.append(
            WeightFile(name, sha256, (source / name).as_uri(), size=len(content), terms="MIT")
        )

    class Learned(Calm):
        name = "learned"
        weight_files = tuple(files)

    return Learned()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def test_weights_come_once_and_are_found(tmp_path: Path, cache: Path) -> None:
    learned = separator(tmp_path)
    assert "'sepbench weights fetch learned' fetches them" in (files.missing(learned) or "")
    told: list[tuple[int, int | None]] = []
    came = files.fetch_missing(learned, on_progress=lambda done, total: told.append((done, total)))
    assert [file.name for file in came] == list(CONTENT)
    assert told[-1] == (900, 900)
    assert files.missing(learned) is None
    assert [file.read_bytes() for file in files.checked(learned)] == list(CONTENT.values())
    assert all(file.parent == cache / "learned" for file in came)
    assert files.fetch_missing(learned) == []


def test_missing_and_damaged_weights_say_what_mends_them(tmp_path: Path) -> None:
    learned = separator(tmp_path)
    with pytest.raises(SepbenchError, match="missing weights of learned; 'sepbench weights fetch"):
        files.checked(learned)
    first, _ = files.fetch_missing(learned)
    first.write_bytes(b"other")
    with pytest.raises(SepbenchError, match="damaged weights of learned; 'sepbench weights fetch"):
        files.checked(learned)
    assert files.fetch_missing(learned) == [first]
    files.checked(learned)


def test_of_a_short_hash_the_whole_holds_from_the_first_time_on(tmp_path: Path) -> None:
    learned = separator(tmp_path, digits=2)
    file = learned.weight_files[0]
    assert len(files.expected("learned", file)) == 2
    path = files.fetch_missing(learned)[0]
    whole = hashlib.sha256(CONTENT["voice.pth"]).hexdigest()
    assert files.expected("learned", file) == whole
    # Another content whose hash begins alike would pass by the short one alone.
    number = next(
        n for n in range(100_000) if hashlib.sha256(b"%d" % n).hexdigest().startswith(file.sha256)
    )
    path.write_bytes(b"%d" % number)
    assert files.status("learned", file) == "damaged"


def test_the_wrong_file_is_never_at_the_path_of_weights(tmp_path: Path, cache: Path) -> None:
    learned = separator(tmp_path)
    (tmp_path / "voice.pth").write_bytes(b"a page that says no")
    with pytest.raises(SepbenchError, match="not the expected file"):
        files.fetch_missing(learned)
    assert not list(cache.rglob("*.pth"))


def test_a_file_of_a_package_is_in_the_package() -> None:
    file = WeightFile("errors.py", "", package="sepbench")
    assert files.path_of("any", file).is_file()
    missing = WeightFile("weights.bin", "", package="no_such_package_anywhere")
    assert not files.is_here("any", missing)


def test_the_cure_can_be_pasted_into_a_shell() -> None:
    (large,) = registry.resolve("open-unmix[model=umxl]")
    assert "\"sepbench weights fetch 'open-unmix[model=umxl]'\" fetches" in (
        files.missing(large.create()) or ""
    )


@pytest.mark.parametrize("name", ["../up.bin", "a/../../up.bin", "/etc/passwd", "a/.."])
def test_a_name_that_leads_out_of_the_folder_of_weights_is_refused(
    tmp_path: Path, cache: Path, name: str
) -> None:
    (source := tmp_path / "source").write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()

    class Escaping(Calm):
        pass

    Escaping.weight_files = (WeightFile(name, digest, url=source.as_uri()),)
    with pytest.raises(SepbenchError, match="is not a valid name of a weight file"):
        files.fetch_missing(Escaping())
    with pytest.raises(SepbenchError, match="is not a valid name of a weight file"):
        files.add("escaping", Escaping.weight_files, source)
    assert not list(tmp_path.rglob("up.bin*"))
