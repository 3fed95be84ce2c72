"""Claims of run folders: two runs never write to one, and leftovers of other runs are neither lost nor in the way."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded
from run_processes import results

from artpipe import InputError
from artpipe.pipeline.folders.claim import hold, new_folder
from artpipe.stages.pictures.picture import save_png

TINY = ("--size", 16, "--max", 3, "--growth", 2, "--steps", 6, "--no-export")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "tiny.png"
    save_png(np.random.default_rng(4).uniform(0, 1, (12, 16, 3)).astype(np.float32), path)
    return path


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def cut_off(folder):
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "start.bin").write_bytes(b"a run")


def test_a_folder_in_use_is_refused_before_the_picture_is_read(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    cut_off(tmp_path / "other")
    with hold(folder), hold(tmp_path / "other"):
        before = names(tmp_path)
        for taken in (folder, tmp_path / "other"):
            message = refusal("run", tmp_path / "none.png", "-o", taken)
            assert f"{taken} is in use by another run" in message and " -o" in message
            message = refusal("resume", taken)
            assert f"{taken} is in use by another run" in message and " -o" not in message
        assert names(tmp_path) == before
    assert names(folder) == []


def test_a_created_folder_that_stays_empty_is_removed_with_its_parents(tmp_path):
    with new_folder(tmp_path / "a" / "b" / "c", pytest.fail) as folder:
        assert folder == tmp_path / "a" / "b" / "c" and folder.is_dir()
    assert names(tmp_path) == []
    with pytest.raises(KeyError), new_folder(tmp_path / "a" / "b", pytest.fail):
        raise KeyError
    assert names(tmp_path) == []
    (tmp_path / "mine").mkdir()
    with new_folder(tmp_path / "mine", pytest.fail) as folder:
        assert folder == tmp_path / "mine"
    with new_folder(tmp_path / "kept" / "b", pytest.fail) as folder:
        (folder / "scene.json").write_text("{}")
    assert names(tmp_path) == ["kept", "kept/b", "kept/b/scene.json", "mine"]


def test_a_folder_with_files_is_unchanged_and_the_run_gets_a_numbered_sibling(picture, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("mine")
    for number in (2, 3):
        result = succeeded("run", picture, "-o", tmp_path / "run", *TINY)
        assert result.stdout.splitlines()[-1] == str(tmp_path / f"run-{number}")
        assert "resume" not in result.stderr
    assert names(tmp_path / "run") == ["mine"]
    assert results(tmp_path / "run-2") == results(tmp_path / "run-3")
    assert run_cli("run", "none.png", *TINY, "-o", tmp_path / "a" / "b").exit_code == 1
    assert not (tmp_path / "a").exists()


def test_an_interrupted_run_is_left_unchanged_with_a_hint(tmp_path):
    cut_off(tmp_path / "run")
    said = []
    with new_folder(tmp_path / "run", said.append) as folder:
        assert folder == tmp_path / "run-2"
    assert said == [f"{tmp_path / 'run'} holds an interrupted run; to continue it: artpipe resume {tmp_path / 'run'}"]
    assert names(tmp_path) == ["run", "run/checkpoint", "run/checkpoint/start.bin"]


@pytest.mark.parametrize("left", [[], ["lock"], [".start.x1y2.part.bin"], ["lock", ".start.x1y2.part.bin"]], ids=str)
def test_leftovers_of_a_run_killed_before_it_began_are_ignored(tmp_path, left):
    inside = tmp_path / "run" / "checkpoint"
    inside.mkdir(parents=True)
    for name in left:
        (inside / name).write_bytes(b"")
    with new_folder(tmp_path / "run", pytest.fail) as folder:
        assert folder == tmp_path / "run"
        assert [path.name for path in inside.iterdir()] == ["lock"]
        (folder / "scene.json").write_text("{}")
    assert names(folder) == ["scene.json"]


def test_only_own_temporary_files_are_removed(tmp_path):
    for name in (".painting.a1b2.part.png", ".000001.x.part.bin", ".mine", "mine.part", ".part", ".a.partial"):
        (tmp_path / name).write_text("a")
    (tmp_path / ".folder.part").mkdir()
    with hold(tmp_path):
        pass
    assert names(tmp_path) == [".a.partial", ".folder.part", ".mine", ".part", "mine.part"]


def test_an_impossible_folder_is_refused_before_the_picture_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    long = "x" * 300
    for folder in ("file/below", "file", "/proc/artpipe", "/dev/null/a", long, f"made/{long}", "a/b/" * 2000):
        line = refusal("run", "none.png", "-o", folder)
        assert "-o" in line and "none.png" not in line
        message = refusal("resume", folder)
        assert Path(folder).name in message and " -o" not in message
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "mine"
    (tmp_path / "checkpoint").write_text("mine")
    with pytest.raises(InputError, match="cannot write in") as error, hold(tmp_path):
        pass
    assert "\n" not in str(error.value) and (tmp_path / "checkpoint").read_text() == "mine"


# --- processes ---

HOLDS = """
import sys, time
from pathlib import Path
from artpipe.pipeline.folders.claim import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_the_claim_of_a_killed_process_is_released(picture, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLDS, folder], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            assert "in use" in refusal("run", picture, "-o", folder)
        finally:
            process.kill()
    assert names(folder) == ["checkpoint", "checkpoint/lock"]
    assert succeeded("run", picture, "-o", folder, *TINY).stdout.splitlines()[-1] == str(folder)
    assert not (folder / "checkpoint").exists()
