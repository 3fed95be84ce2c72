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
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
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
    """Fifty soft circles, ever more of them, ever nearer to where they end up."""
    rng = np.random.default_rng(50)
    scene = make_scene(rng, 50, 48, 36, softness=(1.0, 6.0), opacity=(0.2, 0.9))
    snapshots = []
    for k in range(6):
        part = scene.select(np.arange(8 * (k + 1)))
        dx, dy = rng.normal(0, 2 - k / 3, (2, part.count))
        rows = part.with_columns(x=part.column("x") + dx, y=part.column("y") + dy).rows
        snapshots.append(Snapshot(10 * k, Scene(rows, scene.canvas)))
    return Result(scene, History(snapshots=snapshots))


def film_of(result, folder, ending, **options):
    path = folder / f"film{ending}"
    assert artpipe.export(result, path, **options) == [path]
    return path


def read(path):
    """The pictures of a file, (H, W, 3) each, and how long each stands, milliseconds."""
    frames, stands = [], []
    with Image.open(path) as image:
        for k in range(getattr(image, "n_frames", 1)):
            image.seek(k)
            frames.append(np.asarray(image.convert("RGB")))
            stands.append(round(image.info.get("duration") or 0))
    return frames, stands


def shown_at(path, times):
    """What a file shows at each of some times, milliseconds."""
    frames, stands = read(path)
    return [frames[k] for k in np.searchsorted(np.cumsum(stands), times, side="right")]


def true_frames(result, count, width=None):
    """What a film should show: the even scenes, drawn."""
    width = width or result.scene.canvas.width
    return [as_bytes(artpipe.render(scene.scaled(width))) for scene in even_scenes(result, count)]


def decibels(image, true):
    error = np.mean((image.astype(np.float64) - true) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


# --- length, size, repetition ---


@pytest.mark.parametrize("ending", FILMS)
def test_a_film_has_the_frames_asked_for_and_holds_the_last(result, tmp_path, ending):
    frames, stands = read(film_of(result, tmp_path, ending, fps=5, seconds=2, hold=1))
    assert len(frames) == 10
    assert stands == [200] * 9 + [1200]


@pytest.mark.parametrize(
    ("fps", "seconds", "hold"), [(12, 1, 0.5), (7, 1.3, 0), (50, 0.4, 0), (0.5, 9, 1), (12, 0.1, 0)]
)
@pytest.mark.parametrize("ending", FILMS)
def test_a_film_lasts_as_long_as_asked(result, tmp_path, ending, fps, seconds, hold):
    options = ExportOptions(fps=fps, seconds=seconds, hold=hold)
    count = frame_count(options)
    assert count == max(2, round(fps * seconds))
    frames, stands = read(film_of(result, tmp_path, ending, fps=fps, seconds=seconds, hold=hold))
    assert 2 <= len(frames) <= count  # two that look the same may have become one
    unit = 10 if ending == ".gif" else 1  # GIF counts in hundredths of a second
    assert sum(stands) == pytest.approx(1000 * (count / fps + hold), abs=unit)
    assert min(stands) >= 1000 / fps - unit and stands[-1] >= 1000 * hold


@given(
    fps=st.floats(0.1, 50), seconds=st.floats(0.1, 30), hold=st.floats(0, SECONDS_MAX), unit=st.sampled_from([1, 10])
)
def test_the_frames_stand_as_long_as_asked_in_sum_and_none_is_skipped(fps, seconds, hold, unit):
    options = ExportOptions(fps=fps, seconds=seconds, hold=hold)
    stands = durations(options, unit)
    assert len(stands) == frame_count(options) >= 2
    assert min(stands) >= unit and all(each % unit == 0 for each in stands)
    assert sum(stands) == pytest.approx(1000 * (len(stands) / fps + hold), abs=unit)
    assert max(stands[:-1]) - min(stands[:-1]) <= unit


@pytest.mark.parametrize("loop", [0, 1, 3])
@pytest.mark.parametrize("ending", FILMS)
def test_a_film_plays_as_often_as_asked(result, tmp_path, ending, loop):
    path = film_of(result, tmp_path, ending, fps=4, seconds=1, loop=loop)
    with Image.open(path) as image:
        told = image.info.get("loop")
    if ending != ".gif":
        assert told == loop
    elif loop == 1:  # GIF plays once where nothing is said
        assert told is None and b"NETSCAPE" not in path.read_bytes()
    else:  # and counts the repetitions after that
        assert told == (0 if loop == 0 else loop - 1)


@pytest.mark.parametrize("width", [None, 1, 17, 131])
@pytest.mark.parametrize("ending", FILMS)
def test_a_film_is_as_wide_as_asked(result, tmp_path, ending, width):
    frames, _ = read(film_of(result, tmp_path, ending, fps=4, seconds=1, width=width))
    width = width or 48
    assert {frame.shape for frame in frames} == {(max(1, round(36 * width / 48)), width, 3)}


# --- what it shows ---


@pytest.mark.parametrize("ending", ALL_FILMS)
def test_a_film_begins_with_the_bare_canvas_and_ends_with_the_painting(result, tmp_path, ending):
    path = film_of(result, tmp_path, ending, fps=6, seconds=2, hold=0)
    frames = read_mp4(path)[0] if ending == ".mp4" else read(path)[0]
    bare = as_bytes(np.full((36, 48, 3), result.scene.canvas.background))
    assert np.abs(frames[0].astype(int) - bare).max() <= 4
    assert decibels(frames[-1], as_bytes(artpipe.render(result.scene))) > 34


# APNG is exact; GIF leaves alone what differs by less than its palette may.
LEAST_DECIBELS = {".gif": 34, ".webp": 34, ".apng": 89}


@pytest.mark.parametrize("ending", FILMS)
def test_each_frame_looks_as_it_should(result, tmp_path, ending):
    path = film_of(result, tmp_path, ending, fps=10, seconds=3, hold=1, width=72)
    shown = shown_at(path, np.arange(30) * 100 + 50)
    fidelity = [decibels(*pair) for pair in zip(shown, true_frames(result, 30, 72), strict=True)]
    assert min(fidelity) >= LEAST_DECIBELS[ending]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_gif_of_all_colours_there_are_is_still_near(make_scene, tmp_path, seed):
    """Each circle of another colour, so that 255 colours are few: the frames between count as much as the last."""
    rng = np.random.default_rng(seed)
    result = Result(make_scene(rng, 60, 48, 36, softness=(0.2, 5.0), radius=(3.0, 16.0)))
    shown = shown_at(film_of(result, tmp_path, ".gif", fps=10, seconds=4), np.arange(40) * 100 + 50)
    fidelity = [decibels(*pair) for pair in zip(shown, true_frames(result, 40), strict=True)]
    assert min(fidelity) >= 32


def plain(width=40, height=30, **values):
    columns = {"x": [width / 2], "y": [height / 2], "radius": [height / 3], "colour": [(0.9, 0.1, 0.3)], **values}
    return Scene.circles(Canvas(width, height, (0.1, 0.2, 0.7)), **columns)


@pytest.mark.parametrize("ending", FILMS)
@pytest.mark.parametrize("softness", [0.01, 15.0], ids=["two colours", "a gradient"])
def test_few_colours_and_gradients_are_shown_truly(tmp_path, ending, softness):
    scene = plain(softness=softness)
    frames, _ = read(film_of(scene, tmp_path, ending, fps=10, seconds=2))
    true = as_bytes(artpipe.render(scene))
    # Of colours, WebP keeps every second pixel, as JPEG does; a rim of red on blue is the worst there is.
    assert decibels(frames[-1], true) > ((22 if softness < 1 else 35) if ending == ".webp" else 38)
    if softness > 1 and ending == ".gif":
        # Bands would show: neighbours on a line through the middle are as near as in truth, but for the palette.
        assert np.abs(np.diff(frames[-1][15].astype(int), axis=0)).max() < 30


@pytest.mark.parametrize("ending", ALL_FILMS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_a_canvas_of_a_few_pixels_can_be_filmed(tmp_path, ending, size):
    scene = plain(*size, radius=[9])
    path = film_of(scene, tmp_path, ending, fps=5, seconds=1)
    frames = read_mp4(path)[0] if ending == ".mp4" else read(path)[0]
    last, true = frames[-1][: size[1], : size[0]], as_bytes(artpipe.render(scene))
    assert decibels(last, true[: last.shape[0], : last.shape[1]]) > 30  # an odd side of an MP4 is cut
    if ending != ".mp4":
        assert frames[-1].shape == (size[1], size[0], 3)


@pytest.mark.parametrize("ending", FILMS)
@pytest.mark.parametrize(
    "scene", [Scene.empty(Canvas(9, 7, (0.3, 0.6, 0.1))), plain(opacity=0.0)], ids=["empty", "not seen"]
)
def test_a_film_in_which_nothing_happens_shows_the_canvas(tmp_path, ending, scene):
    frames, stands = read(film_of(scene, tmp_path, ending, fps=5, seconds=1, hold=1))
    true = as_bytes(artpipe.render(scene))
    for frame in frames:
        assert np.abs(frame.astype(int) - true).max() <= 3
    if len(frames) > 1:
        assert sum(stands) == 2000


@pytest.mark.parametrize("ending", FILMS)
def test_a_film_may_last_the_longest_there_is_with_nothing_happening(tmp_path, ending):
    """Frames in which nothing changes become one; a single frame of a GIF stands 655 seconds at most."""
    scene = Scene.empty(Canvas(5, 4, (0.2, 0.2, 0.9)))
    path = film_of(scene, tmp_path, ending, fps=0.2, seconds=SECONDS_MAX, hold=SECONDS_MAX)
    frames, stands = read(path)
    assert frames[0].shape == (4, 5, 3)
    if len(frames) > 1:
        assert sum(stands) == 2000 * SECONDS_MAX


def test_a_gif_repaints_only_what_changes(make_scene, tmp_path):
    """Small circles on a large canvas: the film is far smaller than its frames on their own."""
    scene = make_scene(np.random.default_rng(3), 60, 120, 90, radius=(4.0, 9.0), softness=(1.0, 2.0))
    path = film_of(scene, tmp_path, ".gif", fps=10, seconds=3)
    alone = 0
    with Image.open(path) as image:
        palette = Image.new("P", (1, 1))
        palette.putpalette(image.getpalette())
        for k in range(image.n_frames):
            image.seek(k)
            still = io.BytesIO()
            image.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE).save(still, "GIF", optimize=True)
            alone += len(still.getvalue())
        assert image.n_frames > 20
    assert path.stat().st_size < alone / 2


def test_the_same_result_gives_the_same_film(result, tmp_path):
    for ending in (".gif", ".webp"):
        first = film_of(result, tmp_path, ending, fps=4, seconds=1).read_bytes()
        assert film_of(result, tmp_path, ending, fps=4, seconds=1).read_bytes() == first


# --- transparency ---


@pytest.fixture(scope="module")
def bare_result(result):
    """Every scene on a transparent canvas, with circles that come, move, and go where nothing is left in the end."""
    canvas = replace(result.scene.canvas, transparent=True)
    scene = replace(result.scene, canvas=canvas).select(np.arange(9))
    snapshots = [
        Snapshot(snapshot.step, replace(snapshot.scene, canvas=canvas)) for snapshot in result.history.snapshots
    ]
    return Result(scene, History(snapshots=snapshots))


def read_with_alpha(path):
    """The pictures of a file, (H, W, 4) each, as they stand after what came before."""
    with Image.open(path) as image:
        for k in range(image.n_frames):
            image.seek(k)
            yield np.asarray(image.convert("RGBA"))


def true_with_alpha(result, count):
    return [as_bytes(picture_of(scene)) for scene in even_scenes(result, count)]


def test_an_apng_has_every_colour_and_alpha(bare_result, tmp_path):
    true = true_with_alpha(bare_result, 12)
    film = list(read_with_alpha(film_of(bare_result, tmp_path, ".apng", fps=6, seconds=2)))
    assert len(film) == 12
    for got, want in zip(film, true, strict=True):
        np.testing.assert_array_equal(got[:, :, 3], want[:, :, 3])
        np.testing.assert_array_equal(got[want[:, :, 3] > 0], want[want[:, :, 3] > 0])
    assert (film[0] == 0).all() and 0 < (film[-1][:, :, 3] == 0).mean() < 1


def test_a_webp_has_the_alpha_exactly_and_colours_near(bare_result, tmp_path):
    true = true_with_alpha(bare_result, 12)
    film = list(read_with_alpha(film_of(bare_result, tmp_path, ".webp", fps=6, seconds=2)))
    assert len(film) == 12
    for got, want in zip(film, true, strict=True):
        np.testing.assert_array_equal(got[:, :, 3], want[:, :, 3])
        assert decibels(flattened(got / 255.0, (0, 0, 0)) * 255, flattened(want / 255.0, (0, 0, 0)) * 255) > 30


def test_a_gif_is_opaque_from_the_threshold_on_and_clears_what_is_gone(bare_result, tmp_path):
    true = true_with_alpha(bare_result, 12)
    film = list(read_with_alpha(film_of(bare_result, tmp_path, ".gif", fps=6, seconds=2, alpha_threshold=0.5)))
    shown = [want[:, :, 3] >= 128 for want in true]
    assert any((before & ~after).any() for before, after in itertools.pairwise(shown))
    at = 0
    for got in film:
        assert set(np.unique(got[:, :, 3])) <= {0, 255}
        # Frames that look the same became one.
        while not np.array_equal(got[:, :, 3] == 255, shown[at]):
            at += 1
        seen = shown[at]
        if seen.any():
            assert decibels(got[seen][:, :3], flattened(true[at] / 255.0, (1, 1, 1))[seen] * 255) > 28
    assert at == 11 and not film[0][:, :, 3].any()


@pytest.fixture(scope="module", params=[0.1, 0.2, 0.25, 0.35, 0.5, 0.75])
def half_transparent(request, make_scene):
    """A picture that is half-transparent on the left, about evenly, and bare on the right."""
    canvas = Canvas(60, 40, transparent=True)
    discs = make_scene(np.random.default_rng(3), 40, 20, 40, radius=(1.0, 4.0), opacity=(0.05, 0.1)).rows
    wall = Scene.circles(canvas, x=[-200], y=[20], radius=[230], colour=[(0.8, 0.2, 0.1)], opacity=request.param).rows
    return Result(Scene(np.concatenate([wall, discs]), canvas))


@pytest.mark.parametrize(
    ("options", "matte"), [({}, (1, 1, 1)), ({"matte": "#204080"}, (32 / 255, 64 / 255, 128 / 255))]
)
def test_a_gif_of_a_half_transparent_picture_has_no_holes(half_transparent, tmp_path, options, matte):
    *_, last = read_with_alpha(film_of(half_transparent, tmp_path, ".gif", fps=4, seconds=1, **options))
    true = picture_of(half_transparent.scene)
    assert (last[:, :27, 3] == 255).all() and (last[:, 33:, 3] == 0).all()
    assert decibels(last[:, :27, :3], flattened(true, matte)[:, :27] * 255) > 30


@pytest.mark.parametrize(("threshold", "opaque"), [(0, 1.0), (1, 0.0)])
def test_the_threshold_of_a_gif_is_the_one_asked_for(bare_result, tmp_path, threshold, opaque):
    options = {"fps": 4, "seconds": 1, "alpha_threshold": threshold}
    *_, last = read_with_alpha(film_of(bare_result, tmp_path, ".gif", **options))
    assert (last[:, :, 3] == 255).mean() == opaque


@needs_ffmpeg
def test_an_mp4_of_a_transparent_scene_lies_over_the_matte(bare_result, tmp_path):
    *_, last = read_mp4(film_of(bare_result, tmp_path, ".mp4", fps=6, seconds=1, hold=0, matte="black"))[0]
    assert decibels(last, flattened(picture_of(bare_result.scene), (0, 0, 0)) * 255) > 28


@needs_ffmpeg
def test_an_mp4_of_a_transparent_scene_lies_over_its_background(bare_result, tmp_path):
    frames, _ = read_mp4(film_of(bare_result, tmp_path, ".mp4", fps=6, seconds=2, hold=0))
    for got, want in zip(frames, true_frames(bare_result, 12), strict=True):
        assert decibels(got, want) > 28


# --- MP4 ---


def read_mp4(path):
    """All frames of an MP4, and what it tells of itself."""
    import imageio.v3 as iio

    with iio.imopen(path, "r", plugin="FFMPEG") as file:
        return list(file.iter()), file.metadata()


@needs_ffmpeg
@pytest.mark.parametrize(("fps", "seconds", "hold", "count"), [(5, 2, 1, 15), (25, 1, 0, 25), (1, 2, 2, 4)])
def test_an_mp4_has_the_frames_asked_for_at_the_rate_asked_for(result, tmp_path, fps, seconds, hold, count):
    frames, about = read_mp4(film_of(result, tmp_path, ".mp4", fps=fps, seconds=seconds, hold=hold))
    assert len(frames) == count
    assert about["fps"] == pytest.approx(fps) and about["codec"] == "h264"
    assert about["duration"] == pytest.approx(count / fps, abs=0.02)


@needs_ffmpeg
@pytest.mark.parametrize("width", [None, 97])
def test_the_sides_of_an_mp4_are_cut_to_even_numbers_and_each_frame_looks_as_it_should(result, tmp_path, width):
    path = film_of(result, tmp_path, ".mp4", fps=8, seconds=2, hold=0.5, width=width)
    frames, _ = read_mp4(path)
    true = true_frames(result, 16, width)
    height, width = (side // 2 * 2 for side in true[0].shape[:2])
    assert len(frames) == 20
    for frame, wanted in zip(frames, [*true, *true[-1:] * 4], strict=True):
        assert frame.shape == (height, width, 3)
        assert decibels(frame, wanted[:height, :width]) > 28  # of the colours, H.264 keeps every second pixel


WITHOUT_FFMPEG = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] == "imageio_ffmpeg" else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from artpipe.pipeline.cli.commands import main
main(sys.argv[1:], prog_name="artpipe")
"""


def test_without_its_package_an_mp4_is_refused_in_one_line_that_says_what_to_install(tmp_path):
    """Python looks for packages as ever, and finds all but this one."""
    artpipe.save_scene(plain(), tmp_path / "scene.json")
    command = [sys.executable, "-c", WITHOUT_FFMPEG, "export", "scene.json", "a.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r"Error: an \.mp4 needs imageio-ffmpeg, .*pip install 'artpipe\[video\]'\n", done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.json"]


# --- memory, and files that cannot be written ---


def refused_width(result, options):
    """The width that is offered where a film is refused; None where it is not."""
    try:
        first = next(frames_of(result, options))
    except InputError as error:
        assert "\n" not in str(error)
        return int(re.search(r"need too much memory. Try --width (\d+)$", str(error))[1])
    height, width = first.shape[:2]
    assert frame_count(options) * height * width * 3 <= MEMORY
    return None


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(60, 400), st.integers(60, 400)), width=st.integers(1500, 6000),
    seconds=st.floats(30, 120),
)  # fmt: skip
@example(size=(309, 74), width=3000, seconds=80.0)  # the height is rounded up
@example(size=(374, 363), width=4000, seconds=80.0)
def test_a_film_too_large_for_memory_is_refused_with_a_width_that_fits(size, width, seconds):
    result = Result(Scene.empty(Canvas(*size)))
    options = {"fps": 25, "seconds": seconds}
    offered = refused_width(result, ExportOptions(width=width, **options))
    assume(offered is not None)
    assert 1 <= offered < width
    assert refused_width(result, ExportOptions(width=offered, **options)) is None
    # And it is no smaller than needed.
    assert refused_width(result, ExportOptions(width=offered + 3, **options)) is not None


def test_where_no_width_fits_none_is_offered():
    result = Result(Scene.empty(Canvas(1, 65536)))
    with pytest.raises(InputError) as refusal:
        next(frames_of(result, ExportOptions(fps=50, seconds=240)))
    assert "--width 0" not in str(refusal.value)


@pytest.mark.parametrize("ending", ALL_FILMS)
def test_a_refused_film_leaves_the_old_file_as_it_was_and_no_other(result, tmp_path, ending):
    path = tmp_path / f"film{ending}"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="memory"):
        artpipe.export(result, path, fps=50, seconds=SECONDS_MAX, width=2000)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]


ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import artpipe
from artpipe.stages.exporters.table import EXPORTERS

scene = artpipe.load_scene("scene.json")

def export(path):
    short = {"fps": 5, "seconds": 1} if "fps" in EXPORTERS[path.suffix].options else {}
    artpipe.export(scene, path, **short)

for name in sys.argv[1:]:  # compiles and imports all that is needed
    export(Path("whole") / name)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # no file may become longer than this many bytes
for name in sys.argv[1:]:
    try:
        export(Path("full") / name)
        print(name, "was written")
    except artpipe.InputError as error:
        print(name, "was refused" if name in str(error) else error)
"""
WRITTEN = [".gif", ".webp", ".apng", ".png", ".svg", ".svgz", ".html", ".json", ".npz"]


@pytest.fixture(scope="module")
def full_disk(result, tmp_path_factory):
    """The folder of a disk on which no file has room, after exports of every kind; and what was said of each."""
    folder = tmp_path_factory.mktemp("disk")
    names = [f"a{ending}" for ending in (*WRITTEN, *([".mp4"] if find_spec("imageio_ffmpeg") else []))]
    for inner in ("whole", "full"):
        (folder / inner).mkdir()
    for name in names:
        (folder / "full" / name).write_bytes(b"mine")
    artpipe.save_scene(result.scene, folder / "scene.json")
    command = [sys.executable, "-c", ON_A_FULL_DISK, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "full", dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the length of files")
@pytest.mark.parametrize("ending", [*WRITTEN, pytest.param(".mp4", marks=needs_ffmpeg)])
def test_a_file_for_which_there_is_no_room_leaves_the_old_one_as_it_was(full_disk, ending):
    folder, said = full_disk
    assert said[f"a{ending}"] == "was refused"
    assert (folder / f"a{ending}").read_bytes() == b"mine"
    assert {path.name for path in folder.iterdir()} == set(said)  # and no temporary file


LONG_HOLD = """
import resource
import artpipe
from artpipe import Canvas, Scene

scene = Scene.circles(Canvas(256, 192), x=[99], y=[99], radius=[50], colour=[(1, 0, 0)])
artpipe.export(scene, "short.mp4", fps=50, seconds=1, hold=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
artpipe.export(scene, "long.mp4", fps=50, seconds=1, hold=60)
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes on Linux alone")
def test_holding_the_last_frame_of_an_mp4_takes_no_memory(tmp_path):
    """3000 frames that are the same take 440 MB if each is kept."""
    command = [sys.executable, "-c", LONG_HOLD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = (int(word) for word in done.stdout.split())
    assert after - before < 100_000
