"""Films of growth: GIF, animated WebP, APNG and MP4, read back by Pillow and FFmpeg."""

import io
import itertools
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from command_line import refusal
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from measuring import peak_of
from PIL import Image

import artpipe
from artpipe import Canvas, InputError, Result, Scene
from artpipe.renderers.alpha import flattened, picture_of
from artpipe.stages.events import Snapshot
from artpipe.stages.exporters.film import MEMORY, durations, frame_count, frames_of
from artpipe.stages.exporters.growth import even_scenes
from artpipe.stages.exporters.options import SECONDS_MAX, ExportOptions
from artpipe.stages.history import History
from artpipe.stages.pictures.picture import as_bytes

# Starting FFmpeg forks; JAX, where another test has loaded it, warns of that.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\):RuntimeWarning")

FILMS = [".gif", ".webp", ".apng"]
needs_ffmpeg = pytest.mark.skipif(find_spec("imageio_ffmpeg") is None, reason="imageio-ffmpeg is not installed")
ALL_FILMS = [*FILMS, pytest.param(".mp4", marks=needs_ffmpeg)]


@pytest.fixture(scope="module")
def result(make_scene):
    """Fifty soft circles, ever more of them, ever nearer to their final place."""
    rng = np.random.default_rng(50)
    scene = make_scene(rng, 50, 48, 36, softness=(1.0, 6.0), opacity=(0.2, 0.9))
    snapshots = []
    for k in range(6):
        part = scene.select(np.arange(8 * (k + 1)))
        dx, dy = rng.normal(0, 2 - k / 3, (2, part.count))
        rows = part.with_columns(x=part.column("x") + dx, y=part.column("y") + dy).rows
        snapshots.append(Snapshot(10 * k, Scene(rows, scene.canvas)))
    return Result(scene, History(snapshots=snapshots))


@pytest.fixture
def film(tmp_path):
    """`(result, ending, **options) -> path` of the film that is written."""

    def film(result, ending, **options):
        path = tmp_path / f"film{ending}"
        assert artpipe.export(result, path, **options) == [path]
        return path

    return film


def read(path):
    """The frames of a file, (H, W, 3) each, and how long each is shown, milliseconds."""
    frames, times = [], []
    with Image.open(path) as image:
        for k in range(getattr(image, "n_frames", 1)):
            image.seek(k)
            frames.append(np.asarray(image.convert("RGB")))
            times.append(round(image.info.get("duration") or 0))
    return frames, times


def read_mp4(path):
    """All frames of an MP4, and its metadata."""
    import imageio.v3 as iio

    with iio.imopen(path, "r", plugin="FFMPEG") as file:
        return list(file.iter()), file.metadata()


def frames_in(path):
    return read_mp4(path)[0] if path.suffix == ".mp4" else read(path)[0]


def shown_at(path, times):
    """The frames that a file shows at some times, milliseconds."""
    frames, lasting = read(path)
    return [frames[k] for k in np.searchsorted(np.cumsum(lasting), times, side="right")]


def true_frames(result, count, width=None):
    """The frames that a film should show: the even scenes, drawn."""
    width = width or result.scene.canvas.width
    return [as_bytes(artpipe.render(scene.scaled(width))) for scene in even_scenes(result, count)]


def decibels(image, true):
    error = np.mean((image.astype(np.float64) - true) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


# --- length, size, repetition ---


@pytest.mark.parametrize(("fps", "seconds", "hold", "loop"), [(5, 2, 1, 0), (7, 1.3, 0, 1), (50, 0.4, 0, 3)])
@pytest.mark.parametrize("ending", FILMS)
def test_a_film_lasts_and_repeats_as_asked(result, film, ending, fps, seconds, hold, loop):
    path = film(result, ending, fps=fps, seconds=seconds, hold=hold, loop=loop)
    frames, times = read(path)
    count = max(2, round(fps * seconds))
    assert 2 <= len(frames) <= count  # two that look the same may have become one
    unit = 10 if ending == ".gif" else 1  # GIF counts in hundredths of a second
    assert sum(times) == pytest.approx(1000 * (count / fps + hold), abs=unit)
    assert min(times) >= 1000 / fps - unit and times[-1] >= 1000 * hold
    with Image.open(path) as image:
        stored = image.info.get("loop")
    if ending != ".gif":
        assert stored == loop
    elif loop == 1:  # a GIF without a count plays once
        assert stored is None and b"NETSCAPE" not in path.read_bytes()
    else:  # and otherwise repeats after that
        assert stored == max(0, loop - 1)


@given(
    fps=st.floats(0.1, 50), seconds=st.floats(0.1, 30), hold=st.floats(0, SECONDS_MAX), unit=st.sampled_from([1, 10])
)
def test_durations_have_the_sum_asked_for_and_none_is_zero(fps, seconds, hold, unit):
    options = ExportOptions(fps=fps, seconds=seconds, hold=hold)
    times = durations(options, unit)
    assert len(times) == frame_count(options) >= 2
    assert min(times) >= unit and all(each % unit == 0 for each in times)
    assert sum(times) == pytest.approx(1000 * (len(times) / fps + hold), abs=unit)
    assert max(times[:-1]) - min(times[:-1]) <= unit


@pytest.mark.parametrize("ending", FILMS)
def test_a_film_may_last_the_longest_time_with_nothing_happening(film, ending):
    """Frames without a change become one; a single frame of a GIF lasts 655 seconds at most."""
    scene = Scene.empty(Canvas(5, 4, (0.2, 0.2, 0.9)))
    frames, times = read(film(scene, ending, fps=0.2, seconds=SECONDS_MAX, hold=SECONDS_MAX))
    for frame in frames:
        assert np.abs(frame.astype(int) - as_bytes(artpipe.render(scene))).max() <= 3
    assert len(frames) == 1 or sum(times) == 2000 * SECONDS_MAX


# --- frames ---


# APNG is exact, GIF has few colours, and WebP and MP4 halve the resolution of colours.
LEAST_DECIBELS = {".gif": 34, ".webp": 34, ".apng": 89, ".mp4": 28}


@pytest.mark.parametrize("ending", ALL_FILMS)
@pytest.mark.parametrize("width", [None, 97])
def test_each_frame_looks_as_it_should_from_the_bare_canvas_to_the_painting(result, film, ending, width):
    path = film(result, ending, fps=8, seconds=2, hold=0.5, width=width)
    true = true_frames(result, 16, width)
    if ending == ".mp4":
        shown, about = read_mp4(path)
        height, width = (side // 2 * 2 for side in true[0].shape[:2])  # sides are cut to even numbers
        true = [frame[:height, :width] for frame in [*true, *true[-1:] * 4]]
        assert about["fps"] == pytest.approx(8) and about["codec"] == "h264"
        assert about["duration"] == pytest.approx(2.5, abs=0.02)
    else:
        shown = shown_at(path, np.arange(16) * 125 + 60)
    assert np.abs(shown[0].astype(int) - as_bytes(np.float32(result.scene.canvas.background))).max() <= 4
    assert {frame.shape for frame in shown} == {true[0].shape}
    assert min(decibels(*pair) for pair in zip(shown, true, strict=True)) >= LEAST_DECIBELS[ending]


def test_a_gif_of_very_many_colours_is_still_near(make_scene, film):
    """Each circle of another colour, so that 255 colours are few."""
    result = Result(make_scene(np.random.default_rng(0), 60, 48, 36, softness=(0.2, 5.0), radius=(3.0, 16.0)))
    shown = shown_at(film(result, ".gif", fps=10, seconds=2), np.arange(20) * 100 + 50)
    assert min(decibels(*pair) for pair in zip(shown, true_frames(result, 20), strict=True)) >= 32


def plain(width=40, height=30, **values):
    columns = {"x": [width / 2], "y": [height / 2], "radius": [height / 3], "colour": [(0.9, 0.1, 0.3)], **values}
    return Scene.circles(Canvas(width, height, (0.1, 0.2, 0.7)), **columns)


def test_a_gif_shows_gradients_without_bands(film):
    scene = plain(softness=15.0)
    last = read(film(scene, ".gif", fps=10, seconds=0.4))[0][-1]
    assert decibels(last, as_bytes(artpipe.render(scene))) > 38
    assert np.abs(np.diff(last[15].astype(int), axis=0)).max() < 30


@pytest.mark.parametrize("ending", ALL_FILMS)
@pytest.mark.parametrize("size", [(1, 1), (7, 1)])
def test_a_canvas_of_a_few_pixels_can_be_filmed(film, ending, size):
    scene = plain(*size, radius=[9])
    last, true = frames_in(film(scene, ending, fps=5, seconds=0.4))[-1], as_bytes(artpipe.render(scene))
    assert ending == ".mp4" or last.shape == true.shape
    last = last[: size[1], : size[0]]
    assert decibels(last, true[: last.shape[0], : last.shape[1]]) > 30  # an odd side of an MP4 is cut


def test_a_gif_repaints_only_what_changes(make_scene, film):
    """Small circles on a large canvas: the film is far smaller than its frames on their own."""
    scene = make_scene(np.random.default_rng(3), 60, 120, 90, radius=(4.0, 9.0), softness=(1.0, 2.0))
    path, alone = film(scene, ".gif", fps=10, seconds=3), io.BytesIO()
    for frame in read(path)[0]:
        Image.fromarray(frame).quantize(255, dither=Image.Dither.NONE).save(alone, "GIF", optimize=True)
    assert path.stat().st_size < alone.tell() / 2


# --- transparency ---


@pytest.fixture(scope="module")
def bare_result(result):
    """Every scene on a transparent canvas, with circles that appear, move, and vanish."""
    canvas = replace(result.scene.canvas, transparent=True)
    scene = replace(result.scene, canvas=canvas).select(np.arange(9))
    snapshots = [
        Snapshot(snapshot.step, replace(snapshot.scene, canvas=canvas)) for snapshot in result.history.snapshots
    ]
    return Result(scene, History(snapshots=snapshots))


def read_with_alpha(path):
    """The frames of a file, (H, W, 4) each, composed with what came before."""
    with Image.open(path) as image:
        for k in range(image.n_frames):
            image.seek(k)
            yield np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("ending", [".apng", ".webp"])
def test_apng_and_webp_keep_alpha_exactly(bare_result, film, ending):
    true = [as_bytes(picture_of(scene)) for scene in even_scenes(bare_result, 12)]
    frames = list(read_with_alpha(film(bare_result, ending, fps=6, seconds=2)))
    for got, want in zip(frames, true, strict=True):
        np.testing.assert_array_equal(got[:, :, 3], want[:, :, 3])
        assert decibels(*(flattened(frame / 255.0, (0, 0, 0)) * 255 for frame in (got, want))) > 30
        if ending == ".apng":
            np.testing.assert_array_equal(got[want[:, :, 3] > 0], want[want[:, :, 3] > 0])
    assert not frames[0][:, :, 3].any() and 0 < (frames[-1][:, :, 3] == 0).mean() < 1


def test_a_gif_is_opaque_from_the_threshold_on_and_clears_what_vanished(bare_result, film):
    true = [as_bytes(picture_of(scene)) for scene in even_scenes(bare_result, 12)]
    frames = list(read_with_alpha(film(bare_result, ".gif", fps=6, seconds=2, alpha_threshold=0.5)))
    shown = [want[:, :, 3] >= 128 for want in true]
    assert any((before & ~after).any() for before, after in itertools.pairwise(shown))
    at = 0
    for got in frames:
        assert set(np.unique(got[:, :, 3])) <= {0, 255}
        while not np.array_equal(got[:, :, 3] == 255, shown[at]):  # frames that look the same became one
            at += 1
        seen = shown[at]
        if seen.any():
            assert decibels(got[seen][:, :3], flattened(true[at] / 255.0, (1, 1, 1))[seen] * 255) > 28
    assert at == 11 and not frames[0][:, :, 3].any()
    for threshold, opaque in ((0, 1.0), (1, 0.0)):
        *_, last = read_with_alpha(film(bare_result, ".gif", fps=4, seconds=1, alpha_threshold=threshold))
        assert (last[:, :, 3] == 255).mean() == opaque


@pytest.mark.parametrize(
    ("opacity", "options", "matte"),
    [(0.1, {}, (1, 1, 1)), (0.25, {}, (1, 1, 1)), (0.5, {"matte": "#204080"}, (32 / 255, 64 / 255, 128 / 255))],
)
def test_a_gif_of_a_half_transparent_picture_has_no_holes(make_scene, film, opacity, options, matte):
    """The left is evenly half-transparent, the right bare."""
    canvas = Canvas(60, 40, transparent=True)
    discs = make_scene(np.random.default_rng(3), 40, 20, 40, radius=(1.0, 4.0), opacity=(0.05, 0.1)).rows
    wall = Scene.circles(canvas, x=[-200], y=[20], radius=[230], colour=[(0.8, 0.2, 0.1)], opacity=opacity).rows
    scene = Scene(np.concatenate([wall, discs]), canvas)
    *_, last = read_with_alpha(film(scene, ".gif", fps=4, seconds=0.5, **options))
    assert (last[:, :27, 3] == 255).all() and (last[:, 33:, 3] == 0).all()
    assert decibels(last[:, :27, :3], flattened(picture_of(scene), matte)[:, :27] * 255) > 30


@needs_ffmpeg
def test_an_mp4_of_a_transparent_scene_lies_over_the_matte_or_its_background(bare_result, film):
    *_, last = frames_in(film(bare_result, ".mp4", fps=6, seconds=1, hold=0, matte="black"))
    assert decibels(last, flattened(picture_of(bare_result.scene), (0, 0, 0)) * 255) > 28
    frames = frames_in(film(bare_result, ".mp4", fps=6, seconds=1, hold=0))
    for got, want in zip(frames, true_frames(bare_result, 6), strict=True):
        assert decibels(got, want) > 28


def test_without_its_package_an_mp4_is_refused_in_one_line_that_says_what_to_install(monkeypatch, tmp_path):
    artpipe.save_scene(plain(), tmp_path / "scene.json")
    monkeypatch.setattr("artpipe.stages.exporters.film.find_spec", lambda name: None)
    line = refusal("export", tmp_path / "scene.json", tmp_path / "a.mp4")
    assert re.fullmatch(r"Error: an \.mp4 needs imageio-ffmpeg, .*pip install 'artpipe\[video\]'", line)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.json"]


# --- memory, and files that cannot be written ---


def offered_width(result, options):
    """The width offered where a film is refused; None where it is not."""
    try:
        height, width = next(frames_of(result, options)).shape[:2]
    except InputError as error:
        return int(re.search(r"need too much memory. Try --width (\d+)$", str(error))[1])
    assert frame_count(options) * height * width * 3 <= MEMORY
    return None


@settings(max_examples=15)
@given(
    size=st.tuples(st.integers(60, 400), st.integers(60, 400)), width=st.integers(1500, 6000),
    seconds=st.floats(30, 120),
)  # fmt: skip
@example(size=(309, 74), width=3000, seconds=80.0)  # the height is rounded up
@example(size=(374, 363), width=4000, seconds=80.0)
def test_a_film_too_large_for_memory_is_refused_with_the_largest_width_that_fits(size, width, seconds):
    result = Result(Scene.empty(Canvas(*size)))
    options = {"fps": 25, "seconds": seconds}
    offered = offered_width(result, ExportOptions(width=width, **options))
    assume(offered is not None)
    assert 1 <= offered < width
    assert offered_width(result, ExportOptions(width=offered, **options)) is None
    assert offered_width(result, ExportOptions(width=offered + 3, **options)) is not None


def test_where_no_width_fits_none_is_offered():
    with pytest.raises(InputError, match="Try fewer --seconds"):
        next(frames_of(Result(Scene.empty(Canvas(1, 65536))), ExportOptions(fps=50, seconds=240)))


@pytest.mark.parametrize("ending", ALL_FILMS)
def test_a_refused_film_leaves_the_old_file_as_it_was_and_no_other(result, tmp_path, ending):
    path = tmp_path / f"film{ending}"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="memory"):
        artpipe.export(result, path, fps=50, seconds=SECONDS_MAX, width=2000)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]


ON_A_FULL_DISK = """
import resource, signal
from pathlib import Path
import artpipe
from artpipe.stages.exporters.table import EXPORTERS

scene = artpipe.load_scene("scene.json")

def export(folder, ending):
    short = {"fps": 5, "seconds": 1} if "fps" in EXPORTERS[ending].options else {}
    artpipe.export(scene, Path(folder, "a" + ending), **short)

def endings():
    return [path.suffix for path in sorted(Path("full").iterdir())]

for ending in endings():  # compiles and imports all that is needed
    export("whole", ending)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # no file may become longer than this many bytes
for ending in endings():
    try:
        export("full", ending)
        print(ending, "was written")
    except artpipe.InputError as error:
        if "a" + ending not in str(error):
            print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the length of files")
def test_a_full_disk_leaves_every_old_file_as_it_was(result, tmp_path):
    from artpipe.stages.exporters.table import EXPORTERS

    names = [f"a{ending}" for ending in EXPORTERS if ending != ".mp4" or find_spec("imageio_ffmpeg")]
    for inner in ("whole", "full"):
        (tmp_path / inner).mkdir()
    for name in names:
        (tmp_path / "full" / name).write_bytes(b"mine")
    artpipe.save_scene(result.scene, tmp_path / "scene.json")
    command = [sys.executable, "-c", ON_A_FULL_DISK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "full").iterdir()} == dict.fromkeys(names, b"mine")


@needs_ffmpeg
def test_holding_the_last_frame_of_an_mp4_takes_no_memory(film):
    scene = plain(120, 90)
    short, long = (peak_of(lambda: film(scene, ".mp4", fps=50, seconds=0.2, hold=hold)) for hold in (0, 10))  # noqa: B023
    assert long - short < 2_000_000  # 500 copies of the frame: 16 MB
