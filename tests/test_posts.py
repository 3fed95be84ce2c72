"""Films made for posts on social networks: their size in pixels and bytes."""

from importlib.util import find_spec

import numpy as np
import pytest
from command_line import refusal, succeeded
from PIL import Image
from shapes import MIXED, crowd

import artpipe
from artpipe import Canvas, InputError, Scene, save_scene
from artpipe.stages.exporters import posts
from artpipe.stages.exporters.options import POSTS

# Starting FFmpeg forks; JAX, where another test has loaded it, warns of that.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\):RuntimeWarning")
SHORT = {"fps": 4, "seconds": 0.5, "hold": 0}
ENDINGS = [".gif", ".webp", *([".mp4"] if find_spec("imageio_ffmpeg") else [])]


def frames(path):
    import imageio.v3 as iio

    if path.suffix == ".mp4":
        return list(iio.imread(path, plugin="FFMPEG"))
    with Image.open(path) as image:
        found = []
        for k in range(image.n_frames):
            image.seek(k)
            found.append(np.asarray(image.convert("RGB")))
        return found


@pytest.fixture(scope="module")
def scene():
    return crowd(np.random.default_rng(1), 30, 64, 48, primitive=MIXED, background=(0.9, 0.3, 0.1))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", POSTS)
def test_a_post_has_its_size_with_the_picture_in_the_middle_of_the_background(scene, tmp_path, kind, ending):
    width, height = POSTS[kind]
    (path,) = artpipe.export(scene, tmp_path / f"a{ending}", made_for=kind, **SHORT)
    last = frames(path)[-1]
    assert last.shape == (height, width, 3) and path.stat().st_size <= 8_000_000
    share = min(width / 64, height / 48)
    across, down = round(64 * share), round(48 * share)
    left, top = (width - across) // 2, (height - down) // 2
    picture = last[top : top + down, left : left + across]
    want = artpipe.render(scene.scaled(across, down))
    assert artpipe.psnr(float(np.mean((picture / 255 - np.clip(want, 0, 1)) ** 2))) > 30
    around = [
        last[: max(top - 2, 0)],
        last[top + down + 2 :],
        last[:, : max(left - 2, 0)],
        last[:, left + across + 2 :],
    ]
    for part in around:  # shapes do not reach into it
        assert part.size == 0 or np.abs(part / 255 - (0.9, 0.3, 0.1)).max() < 0.05
    assert sum(part.size for part in around) > 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_post_that_is_too_long_loses_quality_and_then_frames(scene, tmp_path, monkeypatch, ending):
    monkeypatch.setitem(POSTS, "x", (128, 72))
    path, options = tmp_path / f"a{ending}", {"made_for": "x", "fps": 8, "seconds": 0.75, "hold": 0}
    artpipe.export(scene, path, **options)
    whole, count = path.stat().st_size, len(frames(path))
    limit = whole * 4 // 5
    monkeypatch.setattr(posts, "BYTES_MAX", limit)
    artpipe.export(scene, path, **options)
    assert path.stat().st_size <= limit and len(frames(path)) <= count
    options["fps"] = posts.FPS_LEAST  # there are no fewer frames to try
    before = path.read_bytes()
    monkeypatch.setattr(posts, "BYTES_MAX", 100)
    with pytest.raises(InputError, match=r"a\.\w+ would be longer than .* Try fewer --seconds"):
        artpipe.export(scene, path, **options)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_transparent_scene_is_posted_over_its_background(tmp_path):
    spot = Scene.circles(
        Canvas(16, 16, (0.0, 0.0, 1.0), transparent=True), x=[8], y=[8], radius=[5], colour=[[1, 0, 0]]
    )
    (path,) = artpipe.export(spot, tmp_path / "a.gif", made_for="x", **SHORT)
    last = frames(path)[-1] / 255
    assert np.abs(last[0, 0] - (0, 0, 1)).max() < 0.05 and np.abs(last[360, 640] - (1, 0, 0)).max() < 0.05


def test_the_size_is_printed_and_a_width_is_refused(scene, tmp_path):
    save_scene(scene, tmp_path / "a.json")
    done = succeeded(
        "export", tmp_path / "a.json", tmp_path / "a.gif", "--for", "x", "--fps", 4, "--seconds", 0.5, "--hold", 0
    )
    assert done.stdout == f"{tmp_path / 'a.gif'}  {(tmp_path / 'a.gif').stat().st_size / 1000:.0f} kB\n"
    assert "width" in refusal("export", tmp_path / "a.json", tmp_path / "b.gif", "--for", "x", "--width", 100)
    assert "memory" in refusal(
        "export", tmp_path / "a.json", tmp_path / "b.gif", "--for", "story", "--fps", 50, "--seconds", 60
    )
    assert "made_for applies only to .gif, .webp, .mp4" in refusal(
        "export", tmp_path / "a.json", tmp_path / "b.apng", "--for", "x"
    )
