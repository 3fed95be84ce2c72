"""Compiled kernels on disk: never older than a source, shared by environments, only in folders of the user alone."""

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import artpipe.renderers
from artpipe import Canvas, Scene, save_scene
from artpipe.renderers.kernels.numba.cache import SOURCES

RENDERERS = Path(artpipe.renderers.__file__).parent
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
in_processes = lambda test: pytest.mark.slow(needs_posix(test))  # noqa: E731
as_root = hasattr(os, "geteuid") and os.geteuid() == 0

# Calls a small kernel; prints whether its machine code came from the disk, the cache folder, and the result.
CALL = """
import json, sys
import numpy as np
from artpipe.renderers.kernels.numba import bins
total = np.zeros((1, 8))
bins.sum_slots(np.array([0, 1]), np.ones((1, 8), np.float32), total)
cache = bins.sum_slots._cache
print(json.dumps([bool(bins.sum_slots.stats.cache_hits), getattr(cache, "cache_path", None), total.tolist()]))
"""


def source_of(name):
    """The file of a module of `artpipe.renderers`."""
    return RENDERERS.joinpath(*name.split(".")).with_suffix(".py")


def imported_by(name):
    """The modules of `artpipe.renderers` that a module imports."""
    parts = name.split(".")
    for node in ast.walk(ast.parse(source_of(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = parts[: len(parts) - node.level]
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                yield ".".join([*package, module])


def test_the_hashed_sources_are_the_kernels_and_all_that_they_import():
    kernels = {
        ".".join(path.relative_to(RENDERERS).with_suffix("").parts)
        for path in RENDERERS.rglob("*.py")
        if "@compiled(" in path.read_text(encoding="utf-8")
    }
    reached, waiting = set(), kernels
    while waiting:
        reached |= waiting
        waiting = {name for found in waiting for name in imported_by(found)} - reached
    assert kernels and set(SOURCES) == reached


@pytest.fixture
def copied(tmp_path):
    """A folder for PYTHONPATH with a copy of the package: another environment."""

    def copy(name):
        package = tmp_path / name / "artpipe"
        shutil.copytree(Path(artpipe.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(  # in the same folder, as in a wheel
            RENDERERS, package / "renderers", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
        return package

    return copy


def call(package, before="", **environment):
    """Call the kernel in a new process: whether it came from the disk, and its cache folder."""
    plain = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    path = f"import sys; sys.path[:0] = {[str(package.parent), *sys.path]!r}\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", path + before + CALL],
        capture_output=True, text=True, timeout=100,
        env=plain | {key: str(value) for key, value in environment.items()},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    hit, folder, total = json.loads(done.stdout)
    assert total == [[1.0] * 8]
    return hit, None if folder is None else Path(folder)


@in_processes
def test_environments_share_machine_code_until_a_kernel_source_is_edited(copied, tmp_path):
    first, second = copied("first"), copied("second")
    assert call(first, XDG_CACHE_HOME=tmp_path) == (False, folder := next((tmp_path / "artpipe").iterdir()))
    assert call(first, XDG_CACHE_HOME=tmp_path) == (True, folder)
    assert call(second, XDG_CACHE_HOME=tmp_path) == (True, folder)
    assert folder.stat().st_mode & 0o077 == 0
    for count, name in enumerate((SOURCES[0], SOURCES[-1]), 2):
        edited = second / "renderers" / source_of(name).relative_to(RENDERERS)
        with edited.open("a", encoding="utf-8") as source:
            source.write("\n# edited\n")
        hit, elsewhere = call(second, XDG_CACHE_HOME=tmp_path)
        assert not hit and elsewhere != folder, name
        assert len(list((tmp_path / "artpipe").iterdir())) == count
    hit, other = call(first, XDG_CACHE_HOME=tmp_path, NUMBA_OPT=1)  # another setting is other machine code
    assert not hit and other != folder
    _, chosen = call(first, NUMBA_CACHE_DIR=tmp_path / "chosen", XDG_CACHE_HOME=tmp_path / "cache")
    assert chosen.is_relative_to(tmp_path / "chosen") and not (tmp_path / "cache").exists()
    assert call(first, XDG_CACHE_HOME=tmp_path) == (True, folder)


@in_processes
def test_two_processes_compile_side_by_side(copied, tmp_path):
    package = copied("package")
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: call(package, XDG_CACHE_HOME=tmp_path), range(2)))
    folder = next((tmp_path / "artpipe").iterdir())
    assert [elsewhere for _, elsewhere in found] == [folder, folder]
    assert call(package, XDG_CACHE_HOME=tmp_path) == (True, folder)


@in_processes
def test_damaged_files_are_compiled_anew(copied, tmp_path):
    package = copied("package")
    _, folder = call(package, XDG_CACHE_HOME=tmp_path)
    for ending, data in (("*.nbi", b""), ("*.nbi", b"\x80damaged"), ("*.nbc", b"\x80damaged")):
        for path in folder.glob(ending):
            path.write_bytes(data)
        assert call(package, XDG_CACHE_HOME=tmp_path) == (False, folder)
        assert call(package, XDG_CACHE_HOME=tmp_path) == (True, folder)


@in_processes
def test_folders_unused_for_long_are_removed_when_another_is_made(copied, tmp_path):
    package = copied("package")
    _, used = call(package, XDG_CACHE_HOME=tmp_path)
    long_ago = time.time() - 400 * 86400
    os.utime(used, (long_ago, long_ago))
    stale, recent, foreign = (used.with_name(name) for name in ("kernels-stale", "kernels-recent", "notes"))
    for path in (stale, recent, foreign):
        path.mkdir()
    for path in (stale, foreign):
        os.utime(path, (long_ago, long_ago))
    assert call(package, XDG_CACHE_HOME=tmp_path) == (True, used)  # which updates its time
    _, other = call(package, XDG_CACHE_HOME=tmp_path, NUMBA_OPT=1)
    assert set(used.parent.iterdir()) == {used, other, recent, foreign}


def spoil_by_a_link(folder, other):
    folder.rename(other)
    folder.symlink_to(other)


SPOILT = {
    "others may write there": lambda folder, other: folder.chmod(0o777),
    "it is a link": spoil_by_a_link,
    "it is another user's": lambda folder, other: os.chown(folder, 12345, -1),
    "it is a file": lambda folder, other: (folder.rename(other), folder.write_text("")),
}


@in_processes
@pytest.mark.parametrize(
    ("how", "which"),
    [*((how, "root") for how in SPOILT), ("others may write there", "leaf")],
)
def test_code_is_loaded_only_from_folders_where_nobody_else_writes(copied, tmp_path, how, which):
    if "user" in how and not as_root:
        pytest.skip("only root gives files away")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    package, environment = copied("package"), {"XDG_CACHE_HOME": tmp_path, "TMPDIR": temporary}
    _, folder = call(package, **environment)
    SPOILT[how](folder if which == "leaf" else folder.parent, tmp_path / "moved")
    hit, elsewhere = call(package, **environment)
    assert not hit and elsewhere.is_relative_to(temporary)
    # If that one is spoilt too, each process uses a temporary folder and removes it.
    SPOILT[how](elsewhere.parent, tmp_path / "moved too")
    hit, alone = call(package, **environment)
    assert not hit and alone.is_relative_to(temporary) and not alone.exists()
    assert len(list(temporary.iterdir())) == 1


@in_processes
def test_where_nothing_can_be_written_kernels_are_compiled_each_time(copied, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    before = "import tempfile; tempfile._candidate_tempdir_list = lambda: []\n"
    assert call(copied("package"), before, XDG_CACHE_HOME=blocked) == (False, None)


@in_processes
def test_without_a_home_folder_kernels_are_cached_with_the_temporary_files(copied, tmp_path):
    """As in a container whose user is in no list of users."""
    before = "import os, pwd; del os.environ['HOME']; pwd.getpwuid = {}.__getitem__\n"
    package = copied("package")
    for expected in (False, True):
        hit, folder = call(package, before, HOME="", TMPDIR=tmp_path)
        assert hit == expected and folder.is_relative_to(tmp_path)


@pytest.mark.slow
def test_numba_told_not_to_compile_is_named_in_one_line(tmp_path):
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "artpipe", "render", str(tmp_path / "scene.json"), "-o", str(tmp_path / "a.png")]
    scene = Scene.circles(Canvas(3, 2), x=[1.0], y=[1.0], radius=[1.0], colour=[(1, 0, 0)])
    save_scene(scene, tmp_path / "scene.json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "NUMBA_DISABLE_JIT" in done.stderr
