"""The drawings that users put into their own JAX and PyTorch programs."""

import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from shapes import MIXED, crowd, made, seeded

from artpipe import Canvas, InputError, RendererOptions, Scene, load_renderer
from artpipe.renderers.kernels import reference

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
jnp = jax.numpy

KERNELS = {
    "numba": RendererOptions(kernel="numba"),
    "dense": RendererOptions(kernel="dense"),
    "dense in pieces": RendererOptions(kernel="dense", memory_mb=0.01),
}
SIZE = (22, 18)  # two tiles either way, neither full


# Between them all primitives and all falloffs; test_renderers has each by itself.
COVERING = [(MIXED, "linear"), ("circle", "logistic")]


@pytest.fixture(params=COVERING, ids=str)
def scene(request, rng, make_scene):
    name, edge = request.param
    return make_scene(rng, 9, *SIZE, edge, name, radius=(1, 8))


@pytest.fixture
def target(rng):
    return rng.uniform(0, 1, (SIZE[1], SIZE[0], 3)).astype(np.float32)


def any_loss(xp, image, target):
    """Mean absolute error and a smooth total variation: nothing that a renderer knows of."""
    down, across = image[1:] - image[:-1], image[:, 1:] - image[:, :-1]
    variation = xp.mean(xp.sqrt(down**2 + 1e-3)) + xp.mean(xp.sqrt(across**2 + 1e-3))
    return xp.mean(xp.abs(image - target)) + 0.1 * variation


@pytest.fixture
def assert_pulled_back(scene, target, picture_tolerance, gradient_units, assert_gradients_agree):
    """Fails unless the gradients are what the reference makes of the loss's gradient on the picture."""

    def check(value, by_rows, by_background):
        picture = jnp.asarray(reference.render(scene), jnp.float32)
        expected, image_gradient = jax.jit(jax.value_and_grad(lambda image: any_loss(jnp, image, target)))(picture)
        image_gradient = np.asarray(image_gradient, np.float64)
        expected_by_rows, expected_by_background = reference.gradient(scene, image_gradient)
        tolerance = 8 * picture_tolerance(scene)  # the loss's own float32 sums besides the renderer's
        assert float(value) == pytest.approx(float(expected), rel=tolerance)
        units = gradient_units(scene, image_gradient)
        assert_gradients_agree(np.asarray(by_rows), expected_by_rows, units, tolerance)
        whole = np.abs(image_gradient).sum()
        assert_gradients_agree(np.asarray(by_background), expected_by_background, whole, tolerance)

    return check


# JAX compiles a gradient of its dense kernel for 2 s and more.
SLOW_IF_DENSE = ["numba", pytest.param("dense in pieces", marks=pytest.mark.slow)]


@pytest.mark.parametrize("kernel", SLOW_IF_DENSE)
def test_jax_differentiates_any_loss_under_jit(scene, target, kernel, assert_pulled_back):
    draw = load_renderer("jax", KERNELS[kernel]).drawing(scene)
    gradient = jax.value_and_grad(
        lambda rows, background: any_loss(jnp, draw(rows, background), target), argnums=(0, 1)
    )
    arguments = scene.rows, np.float32(scene.canvas.background)
    value, (by_rows, by_background) = jax.jit(gradient)(*arguments)
    assert_pulled_back(value, by_rows, by_background)


@pytest.mark.parametrize("kernel", KERNELS)
def test_torch_differentiates_any_loss(scene, target, kernel, assert_pulled_back):
    draw = load_renderer("torch", KERNELS[kernel]).drawing(scene)
    rows = torch.tensor(scene.rows, requires_grad=True)
    background = torch.tensor(scene.canvas.background, requires_grad=True)
    value = any_loss(torch, draw(rows, background), torch.tensor(target))
    value.backward()
    assert_pulled_back(value.item(), rows.grad.numpy(), background.grad.numpy())


@pytest.mark.parametrize("kernel", SLOW_IF_DENSE)
def test_jax_maps_a_drawing_over_a_batch_of_scenes(rng, make_scene, target, kernel):
    batch = [make_scene(rng, 9, *SIZE, primitive=MIXED, radius=(1, 8)) for _ in range(3)]
    draw = load_renderer("jax", KERNELS[kernel]).drawing(batch[0])
    rows = np.stack([scene.rows for scene in batch])
    pictures = jax.jit(jax.vmap(draw))(rows)
    gradients = jax.jit(jax.vmap(jax.grad(lambda rows: jnp.sum(draw(rows) * target))))(rows)
    assert pictures.shape == (3, SIZE[1], SIZE[0], 3)
    eager = jax.grad(lambda rows: jnp.sum(draw(rows) * target))(rows[0])
    np.testing.assert_allclose(eager, gradients[0], rtol=1e-5, atol=1e-6 * np.abs(eager).max())
    for k, scene in enumerate(batch):
        np.testing.assert_allclose(pictures[k], reference.render(scene), rtol=0, atol=1e-5)
        expected = reference.gradient(scene, target)[0]
        np.testing.assert_allclose(gradients[k], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_drawing_takes_any_count_of_rows_and_defaults_to_the_scenes_background(kernel):
    canvas = Canvas(3, 2, (0.25, 0.5, 0.75))
    for name, array in (("jax", jnp.zeros), ("torch", torch.zeros)):
        draw = load_renderer(name, KERNELS[kernel]).drawing(Scene.empty(canvas))
        nothing = array((0, Scene.empty(canvas).rows.shape[1]))
        assert np.asarray(draw(nothing)).tolist() == [[[0.25, 0.5, 0.75]] * 3] * 2
        assert np.asarray(draw(nothing, array(3))).tolist() == [[[0.0, 0.0, 0.0]] * 3] * 2


@pytest.mark.parametrize("scene", [(MIXED, "linear")], indirect=True, ids=str)
def test_both_name_the_row_that_is_not_finite(scene):
    draw, draw_torch = (load_renderer(name).drawing(scene) for name in ("jax", "torch"))
    gradient = jax.jit(jax.grad(lambda rows: jnp.sum(draw(rows))))
    for value in (np.nan, np.inf):
        rows = scene.rows.copy()
        rows[5, scene.select([5]).primitives[0].width - 1] = value
        message = f"row 5 has {value} in its .*; needs a finite number"
        for call in (draw, gradient):  # JAX wraps what a callback raises in an error of its own
            with pytest.raises(Exception, match=message):
                jax.block_until_ready(call(rows))
        with pytest.raises(InputError, match=message):
            draw_torch(torch.tensor(rows))


def test_a_drawing_of_a_mix_wants_as_many_rows_as_its_scene(rng):
    scene = crowd(rng, 8, *SIZE, primitive=MIXED)
    for name, array in (("jax", jnp.asarray), ("torch", torch.tensor)):
        for options in KERNELS.values():
            with pytest.raises(InputError, match=r"rows has shape .*needs \(8, "):
                load_renderer(name, options).drawing(scene)(array(scene.rows[:-1]))


@pytest.fixture(params=COVERING, ids=str)
def small_scene(request, off_kinks, rng):
    """Four shapes on 6 x 5 pixels, none of which has a kink within 1e-3 px of a pixel centre."""
    name, edge = request.param
    canvas, x, y, radius = (
        Canvas(6, 5, (0.2, 0.4, 0.6), edge),
        [1.5, 3.2, 4.1, 2],
        [2.1, 2.5, 1.3, 4],
        [1.2, 2.1, 1.4, 1],
    )
    plain = made(lambda kind: seeded(rng, canvas, kind, x, y, radius, [0.7, 0.9, 2.0, 0.6]), name)
    return off_kinks(plain, margin=1e-3)


@pytest.mark.parametrize("memory_mb", [512.0, pytest.param(0.002, marks=pytest.mark.slow)])  # 6 of the 30 pixels
def test_torch_gradients_pass_gradcheck_in_float64(small_scene, memory_mb):
    draw = load_renderer("torch", RendererOptions(kernel="dense", memory_mb=memory_mb)).drawing(small_scene)
    rows = torch.tensor(small_scene.rows, dtype=torch.float64, requires_grad=True)
    background = torch.tensor(small_scene.canvas.background, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(draw, (rows, background), eps=1e-6, atol=1e-7)


def test_torch_draws_and_differentiates_in_the_precision_of_its_rows(small_scene):
    draw = load_renderer("torch", RendererOptions(kernel="dense")).drawing(small_scene)
    rows = torch.tensor(small_scene.rows, dtype=torch.float64, requires_grad=True)
    image = draw(rows)
    assert image.dtype == torch.float64 and draw(torch.tensor(small_scene.rows)).dtype == torch.float32
    np.testing.assert_allclose(image.detach().numpy(), reference.render(small_scene), rtol=0, atol=1e-14)
    load_renderer("torch").drawing(small_scene)(rows).sum().backward()
    assert rows.grad.dtype == torch.float64


@pytest.mark.slow
def test_a_large_picture_in_a_compiled_loop_does_not_hang():
    # XLA hands a callback's large arrays over on the threads that the callback itself may occupy.
    script = """
        import jax, jax.numpy as jnp, numpy as np
        from artpipe import Canvas, Scene, load_renderer
        rng, n = np.random.default_rng(0), 20
        scene = Scene.circles(Canvas(1024, 1024), x=rng.uniform(0, 1024, n), y=rng.uniform(0, 1024, n),
                              radius=rng.uniform(20, 200, n), colour=rng.uniform(0, 1, (n, 3)), opacity=0.5)
        draw, target = load_renderer("jax").drawing(scene), jnp.zeros((1024, 1024, 3))
        gradient = jax.grad(lambda rows: jnp.mean((draw(rows) - target) ** 2))
        colours = jnp.asarray(scene.with_columns(x=0, y=0, radius=0, opacity=0, softness=1e-3, colour=[1, 1, 1]).rows)
        walk = jax.jit(lambda rows: jax.lax.fori_loop(0, 3, lambda _, r: r - 5 * gradient(r) * colours, rows))
        moved = np.asarray(walk(scene.rows))
        assert np.isfinite(moved).all() and (moved != scene.rows).any()
        print("walked")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "walked\n", done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_torch_compile_draws_and_differentiates_the_same(scene, target):
    compiled = load_renderer("torch", RendererOptions(kernel="dense", compile=True))
    plain = load_renderer("torch", RendererOptions(kernel="dense"))
    np.testing.assert_allclose(compiled.render(scene), plain.render(scene), rtol=0, atol=1e-5)
    for got, want in zip(
        compiled.loss_and_gradient(scene, target), plain.loss_and_gradient(scene, target), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6 * np.abs(want).max())


@pytest.mark.slow
def test_torch_compile_takes_a_drawing_whole_into_a_graph_of_the_callers(scene):
    draw = load_renderer("torch", RendererOptions(kernel="dense")).drawing(scene)
    compiled = torch.compile(lambda rows: draw(rows).sum(), fullgraph=True, backend="eager")
    rows = torch.tensor(scene.rows.copy())
    assert compiled(rows).item() == pytest.approx(draw(rows).sum().item(), rel=1e-5)
