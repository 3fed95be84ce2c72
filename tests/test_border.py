"""Arguments of the public functions: refusals in one line that names them, and values out of range."""

import copy
import dataclasses
import functools
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backends import COMPILED, FITS, KERNELS
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import KINDS, limits_of, place_of

import artpipe
from artpipe import Canvas, FitSettings, InputError, Rates, RendererOptions, Scene, load_renderer
from artpipe.pipeline.options import RunConfig
from artpipe.renderers import FITTING_RENDERERS, RENDERERS
from artpipe.renderers.kernels import reference
from artpipe.renderers.primitives.base import PAINT
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.stages.exporters.options import ExportOptions

torch = pytest.importorskip("torch")

WIDTH, HEIGHT = 7, 5
CANVAS = Canvas(WIDTH, HEIGHT, (0.2, 0.4, 0.6))
SCENE = Scene.circles(CANVAS, x=[2, 5], y=[2, 3], radius=[1.5, 2], colour=[[1, 0, 0], [0, 0.5, 1]], opacity=[1, 0.5])
OTHER = Scene.empty(Canvas(WIDTH + 1, HEIGHT))
TARGET = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
ARRAYS = {"jax": jnp.asarray, "torch": lambda values: torch.tensor(np.array(values))}
RAGGED = [[1.0, 2.0], [3.0]]


class Unreadable:
    """An array of a library that does not give its values away."""

    def __array__(self, dtype=None, copy=None):
        raise KeyError("values")


SCENES = (None, 3, "scene.json", SCENE.rows)
SHAPED = (TARGET[:, :-1], TARGET[0], TARGET[None], TARGET[:, :, :2], TARGET[..., None], np.zeros(0), np.float32(0.5))
TYPED = ("red", None, RAGGED, TARGET + 0j, TARGET.astype(str), TARGET.astype(object), TARGET > 0)
VALUED = (255 * TARGET, TARGET - 1, np.where(TARGET > 0, np.nan, 0), np.where(TARGET > 0, np.inf, 0))
TARGETS = (*SHAPED, *TYPED, *VALUED, (255 * TARGET).astype(np.uint8))
FLAT = np.ones((HEIGHT, WIDTH))
WEIGHTS = (
    FLAT[:-1], FLAT[0], FLAT[..., None], TARGET, -FLAT, 0 * FLAT, FLAT * np.nan, FLAT * np.inf, FLAT + 0j,
    FLAT.astype(str), FLAT.astype(object), "edges", 1.0, RAGGED, Unreadable(),
    np.ma.masked_greater(FLAT, 0),
)  # fmt: skip
ROWS = (
    SCENE.rows[:, :-1], np.pad(SCENE.rows, ((0, 0), (0, 1))), SCENE.rows[0], SCENE.rows[..., None], np.float32(1),
    SCENE.rows + 0j, SCENE.rows > 0,
)  # fmt: skip
NO_ARRAYS = (None, "rows", RAGGED, object(), Unreadable(), 10**400)
MASKED = np.ma.array([1.0, 2.0], mask=[False, True])
COLOURS = (np.zeros(2), np.zeros(4), np.zeros((1, 3)), np.float32(1), np.zeros(3) + 0j, np.zeros(3) > 0)
COUNTS = (-1, np.timedelta64(2, "s"), 2.5, np.float64(3), True, np.bool_(True), "3", None, np.ones(1), 2**70, np.nan)
AMOUNTS = (-1, np.timedelta64(1, "s"), np.nan, np.inf, True, np.bool_(False), "1", None, 1j, np.ones(1))


def fit_of(name):
    fit = load_renderer(name).fit(TARGET, CANVAS)
    fit.put(SCENE)
    return fit


def asked(name, method, *before):
    """`value -> renderer.method(*before, value)`, with a target behind a scene where one is needed."""

    def ask(value):
        after = (TARGET,) if method in ("loss_and_gradient", "worth") and not before else ()
        return getattr(load_renderer(name), method)(*before, value, *after)

    return ask


def drawn(name, kernel, part):
    """`value -> picture`, of rows or on a background, with arrays of NumPy as those of the framework."""

    def draw(value):
        value = ARRAYS[name](np.array(value)) if isinstance(value, (np.ndarray, np.generic)) else value
        function = load_renderer(name, RendererOptions(kernel=kernel)).drawing(SCENE)
        return function(value) if part == "rows" else function(ARRAYS[name](np.array(SCENE.rows)), value)

    return draw


def fitted(name, method, *before):
    """`value -> fit.method(*before, value)`."""
    return lambda value: getattr(fit_of(name), method)(*before, value)


def restored(name):
    """`changes -> fit.restore(state with changes)`."""

    def restore(changes):
        fit = fit_of(name)
        return fit.restore(dataclasses.replace(fit.state(), **changes))

    return restore


def optioned(function, name, **others):
    """`value -> function(..., name=value)`."""
    return lambda value: function(**{**others, name: value})


def renderer_refusals():
    for name in RENDERERS:
        yield f"{name} render scene", asked(name, "render"), SCENES
        for method in ("loss_and_gradient", "worth"):
            yield f"{name} {method} scene", asked(name, method), SCENES
            yield f"{name} {method} target", asked(name, method, SCENE), TARGETS
            yield f"{name} {method} weights", asked(name, method, SCENE, TARGET), WEIGHTS
    for name in FITTING_RENDERERS:
        yield f"{name} drawing scene", asked(name, "drawing"), SCENES
        for kernel in KERNELS:
            yield f"{name} {kernel} rows", drawn(name, kernel, "rows"), (*ROWS, *NO_ARRAYS)
            yield f"{name} {kernel} background", drawn(name, kernel, "background"), (*COLOURS, *NO_ARRAYS[1:])
        yield f"{name} fit target", lambda value, name=name: load_renderer(name).fit(value, CANVAS), TARGETS
        yield f"{name} fit canvas", asked(name, "fit", TARGET), (None, (7, 5), SCENE)
        yield f"{name} fit settings", asked(name, "fit", TARGET, CANVAS), (3, {}, Rates())
        weighted = asked(name, "fit", TARGET, CANVAS)
        yield f"{name} fit weights", lambda value, ask=weighted: ask(FitSettings(weights=value)), WEIGHTS
        yield f"{name} put scene", fitted(name, "put"), (*SCENES, OTHER)
        yield f"{name} residual scene", fitted(name, "residual"), (*SCENES[1:], OTHER)
        yield f"{name} worth scene", fitted(name, "worth"), (*SCENES[1:], OTHER)
        yield f"{name} step scales", fitted(name, "step"), (None, 3, {}, object())
        yield f"{name} step scale", lambda value, name=name: fitted(name, "step")([1.0, value]), AMOUNTS
        yield f"{name} restore state", fitted(name, "restore"), (None, SCENE, {})
        changes = (
            {"scene": None}, {"scene": OTHER}, {"rows": None}, {"slates": None}, {"slates": ()}, {"step_count": "1"},
            {"rows": SCENE.rows[:, :-1]}, {"rows": SCENE.rows.astype(float)}, {"slates": (SCENE.rows,)},
        )  # fmt: skip
        yield f"{name} restore s", restored(name), changes


def function_refusals():
    yield "render scene", artpipe.render, SCENES
    yield "render renderer", lambda value: artpipe.render(SCENE, value), (None, 3, ["cpu"], "gpu")
    for load in (artpipe.load_renderer, artpipe.load_fitting_renderer):
        yield f"{load.__name__} renderer", load, (None, 3, ["jax"], "gpu", b"jax")
        yield f"{load.__name__} options", functools.partial(load, "jax"), (3, "cpu", {"device": "cpu"})
    error = artpipe.mean_squared_error
    yield "mean_squared_error image", lambda value: error(value, TARGET), (*SHAPED[1:], *TYPED)
    yield "mean_squared_error target", functools.partial(error, TARGET), TARGETS
    yield "mean_squared_error weights", functools.partial(error, TARGET, TARGET), WEIGHTS
    for function in (artpipe.psnr, artpipe.seed_loss):
        yield f"{function.__name__} mse", function, (-1e-9, np.nan, True, "0.1", None, np.ones(2), 1j)
    yield "save_scene scene", lambda value: artpipe.save_scene(value, "/nowhere/scene.json"), SCENES
    paths = (None, 3, b"scene.json", ["scene.json"])
    yield "save_scene path", functools.partial(artpipe.save_scene, SCENE), paths
    yield "load_scene path", artpipe.load_scene, paths
    yield "export path", functools.partial(artpipe.export, SCENE), paths
    yield "export source", lambda value: artpipe.export(value, "a.svg"), (None, 3, SCENE.rows, b"run")
    yield "Result scene", artpipe.Result, SCENES
    yield "Result target", lambda value: artpipe.Result(SCENE, target=value), (*SHAPED, "red")


SHAPES = {
    "circles": ("x", "y", "radius"),
    "ellipses": ("x", "y", "radius_x", "radius_y", "angle"),
    "strokes": ("x0", "y0", "x1", "y1", "width"),
    "triangles": ("corners",),
}
ONE_ELLIPSE = {"x": [1], "y": [1], "radius_x": [1], "radius_y": [1], "colour": [[1, 0, 0]]}


def scene_refusals():
    yield "Scene rows", lambda value: Scene(value, CANVAS), (*ROWS[:1], *ROWS[2:], *NO_ARRAYS, [["1"] * 8])
    yield "Scene canvas", functools.partial(Scene, SCENE.rows), (None, (7, 5), "canvas")
    scene = functools.partial(Scene, SCENE.rows, CANVAS)
    yield "Scene ids", scene, ("ab", [1.0, 2.0], [1, 1], [-1, 2], 3, [[0], [1]])
    yield "Scene kinds", optioned(scene, "kinds"), ("ab", [0.0, 0.0], [0, 256], 0, [0, None])
    yield "Scene next_id", optioned(scene, "next_id"), (1, 2.5, "9", None, 2**63)
    bad = (None, 3 + 1j, "ab", ["a", "b"], [1 + 1j, 2], [True, False], RAGGED, [[1], [2]], MASKED, Unreadable())
    paint = {"colour": [[1, 0, 0]] * 2, "opacity": [1, 1], "softness": [1, 1]}
    for method, names in SHAPES.items():
        columns = {name: [[[1, 2], [3, 4], [5, 6]]] * 2 if name == "corners" else [1, 2] for name in names}
        for column in (*columns, *paint):
            make = functools.partial(getattr(Scene, method), CANVAS)
            yield f"Scene.{method} {column}", optioned(make, column, **columns, **paint), bad
        first = next(iter(columns))
        yield f"Scene.{method} {first}", optioned(make, first, **columns, **paint), (1.0, np.float32(2))
        for column, values in paint.items():
            short = optioned(functools.partial(getattr(Scene, method), CANVAS), column, **columns, **paint)
            yield f"Scene.{method} {column}", short, (values * 2, [-1, 1], [np.nan, 1])
    ellipse = optioned(Scene.ellipses, "radius_x", canvas=CANVAS, **ONE_ELLIPSE)
    yield "Scene.ellipses radius_x", ellipse, ([0], [-1], [1, 2])
    triangle = optioned(Scene.triangles, "corners", canvas=CANVAS, colour=[[1, 0, 0]])
    yield "Scene.triangles corners", triangle, ([[1, 2, 3]], [[1, 2], [3, 4], [5, 6]], [1, 2, 3, 4, 5, 6])
    for name in ("radius", "opacity", "colour"):
        yield f"Scene.with_columns {name}", optioned(SCENE.with_columns, name), bad[1:]
    yield "Scene.column column", SCENE.column, ("width", 3, None)
    for name in ("dx", "dy"):
        yield f"Scene.moved {name}", optioned(SCENE.moved, name, dx=0, dy=0), ("a", None, np.nan, np.inf, 1j, [1, 2])
    yield "Scene.stacked scenes", Scene.stacked, ([], (), [3], [SCENE.rows])
    yield "Scene.append rows", SCENE.append, (*ROWS[:1], *ROWS[2:], *NO_ARRAYS)
    yield "Scene.append kinds", functools.partial(SCENE.append, SCENE.rows), ("blob", [0], [0, 256], [0.0, 0.0], 3)
    yield "Scene.with_rows rows", SCENE.with_rows, (*ROWS[:1], *ROWS[2:], *NO_ARRAYS)
    wrong = (2, -3, [2], [0.5], [True], "0", None, [[0, 1]], RAGGED, torch.ones(2, requires_grad=True))
    yield "Scene.select index", SCENE.select, wrong
    colours = (None, "red", (1, 1), (1, 1, 2), (1, 1, 1j), RAGGED)
    yield "Scene.with_background background", SCENE.with_background, colours
    yield "Scene.scaled width", SCENE.scaled, (*COUNTS, 0, 65537)
    yield "Scene.scaled height", functools.partial(SCENE.scaled, 8), (*COUNTS[:6], 0)
    yield "Scene.same_as other", SCENE.same_as, (None, SCENE.rows)
    yield "Canvas width", optioned(Canvas, "width", height=5), (*COUNTS, 0)
    yield "Canvas height", functools.partial(Canvas, 5), (*COUNTS, 0)
    yield "Canvas edge", optioned(Canvas, "edge", width=7, height=5), (None, 0, ["linear"], "soft")


def option_refusals():
    for kind, table in {
        RendererOptions: {
            "device": (None, "gpu", ["cpu"]), "kernel": (None, "fast"), "memory_mb": (*AMOUNTS, 0),
            "compile": ("no", 1, None),
        },
        Rates: {field.name: (*AMOUNTS, 1001) for field in dataclasses.fields(Rates)},
        FitSettings: {
            "rates": (None, {}, 3), "beta1": (*AMOUNTS, 1), "beta2": (*AMOUNTS, 1), "epsilon": AMOUNTS,
            "softness_min": (*AMOUNTS, 0, 1e6), "capacity": COUNTS,
            "loss": (3, "msee", None, lambda image: 0, lambda image, target, more: 0),
        },
    }.items():  # fmt: skip
        for name, values in table.items():
            yield f"{kind.__name__} {name}", optioned(kind, name), values
    given, counts = {"count": 2, "steps": 1}, [value for value in COUNTS if value is not None]
    amounts = [value for value in AMOUNTS if value is not None]
    for name, values in {
        "count": (*counts, 0), "renderer": (None, 3, ["jax"], "cpu"), "on_event": (3, "print"), "weights": WEIGHTS,
        **dict.fromkeys(("growth", "steps", "seed", "patience", "relocate_every"), counts),
        **dict.fromkeys(("pool", "radius_scale", "softness_min", "seconds", "target_psnr", "edges"), amounts),
        "rates": (3, "fast"), **{unknown: (1,) for unknown in ("most", "circles", "stepz", "colour", "Steps")},
    }.items():  # fmt: skip
        yield f"fit {name}", optioned(functools.partial(artpipe.fit, TARGET), name, **given), values
    for rates in ({"position": "1"}, {"positions": 1}):
        yield "fit rate", optioned(functools.partial(artpipe.fit, TARGET), "rates", **given), (rates,)


REFUSALS = [
    pytest.param(name.split()[-1], call, values, id=name)
    for table in (renderer_refusals, function_refusals, scene_refusals, option_refusals)
    for name, call, values in table()
]


@pytest.mark.parametrize(("argument", "call", "values"), REFUSALS)
def test_an_argument_that_cannot_be_used_is_refused_in_one_line_that_names_it(argument, call, values):
    for value in values:
        with pytest.raises(InputError) as caught:
            call(value)
        message = str(caught.value)
        assert argument in message and "\n" not in message and len(message) < 600, message


def test_every_public_function_is_in_the_table():
    named = {parameter.id.split()[0] for parameter in REFUSALS}
    assert {name for name in artpipe.__all__ if inspect.isfunction(getattr(artpipe, name))} <= named


def test_an_unknown_option_names_the_nearest_known():
    with pytest.raises(InputError, match=r"'stepz' \(did you mean steps\?\)"):
        artpipe.fit(TARGET, stepz=3)


@pytest.mark.parametrize("kernel", KERNELS)
def test_shapes_are_checked_where_values_are_traced(kernel):
    draw = load_renderer("jax", RendererOptions(kernel=kernel)).drawing(SCENE)
    for wrap in (jax.jit, jax.vmap, lambda draw: jax.grad(lambda values: draw(values).sum())):
        for rows in (SCENE.rows[:, :-1], SCENE.rows[..., None], SCENE.rows[0]):
            rows = rows[None] if wrap is jax.vmap else rows
            with pytest.raises(InputError, match="rows has shape"):
                wrap(draw)(jnp.asarray(rows))


def test_numbers_of_numpy_are_numbers():
    for kind in (np.int8, np.uint64):
        config = RunConfig(steps=kind(40), count=kind(8), seed=kind(3), growth=kind(4), patience=kind(9), pool=kind(2))
        assert config == RunConfig(steps=40, count=8, seed=3, growth=4, patience=9, pool=2)
        assert all(type(value) is not kind for value in config.to_json().values())
        assert Canvas(kind(7), kind(5)) == Canvas(7, 5)
        assert SCENE.scaled(kind(14), kind(10)).same_as(SCENE.scaled(14, 10))
        assert Scene(SCENE.rows, CANVAS, next_id=kind(9)).next_id == 9
    for kind in (np.float16, np.longdouble):
        config = RunConfig(seconds=kind(30), target_psnr=kind(25), edges=kind(0.5), rates=Rates(kind(0.5)))
        assert config == RunConfig(seconds=30.0, target_psnr=25.0, edges=0.5, rates=Rates(0.5))
        assert all(type(value) is not kind for value in config.to_json().values())
        assert RendererOptions(memory_mb=kind(64)) == RendererOptions(memory_mb=64.0)
        assert FitSettings(beta1=kind(0.5), capacity=np.int16(8)) == FitSettings(beta1=0.5, capacity=8)
        export = ExportOptions(fps=kind(4), alpha_threshold=kind(0.5), width=np.uint8(32), flat=np.True_)
        assert export == ExportOptions(fps=4.0, alpha_threshold=0.5, width=32, flat=True)
        assert artpipe.psnr(kind(0.25)) == artpipe.psnr(0.25)


# --- values out of range ---

NEAR = {"x": (-9, 16), "y": (-9, 14), "length": (2**-10, 1e3), "log length": (-2, 5), "share": (-0.5, 1.5)}


@st.composite
def extreme_rows(draw, primitive):
    """Two rows of a primitive, each of whose values may be far out of range, at a limit, or anything on the canvas."""
    low, high = limits_of(primitive)
    columns = (*PAINT, *PRIMITIVES[primitive].columns)
    rows = []
    for _ in range(2):
        row = []
        for column, least, most in zip(columns, low.tolist(), high.tolist(), strict=True):
            edges = st.sampled_from([least, most, least - 1, most + 1, -3e38, 3e38, 0.0, 0.5])
            # XLA takes subnormal numbers for 0.
            row.append(draw(edges | st.floats(*NEAR[column.unit], width=32, allow_subnormal=False)))
        rows.append(row)
    return np.float32(rows)


@functools.cache
def drawing(backend, primitive, edge):
    """`rows -> picture, gradient of its sum`, of two rows of a primitive."""
    name, options = FITS[backend]
    scene = Scene(np.ones((2, PRIMITIVES[primitive].width)), dataclasses.replace(CANVAS, edge=edge), kinds=primitive)
    draw = load_renderer(name, options).drawing(scene)
    if name == "jax":
        pull = jax.jit(jax.grad(lambda rows: draw(rows).sum()))
        picture = jax.jit(draw)
        return lambda rows: (np.asarray(picture(rows)), np.asarray(pull(rows)))

    def ask(rows):
        rows = torch.tensor(rows, requires_grad=True)
        image = draw(rows)
        image.sum().backward()
        return image.detach().numpy(), rows.grad.numpy()

    return ask


ALL = pytest.mark.parametrize("backends", [{*FITS} - {COMPILED}, pytest.param({COMPILED}, marks=pytest.mark.slow)])


@ALL
@pytest.mark.parametrize(("primitive", "edge"), [kind for kind in KINDS if kind[0] in PRIMITIVES])
@settings(max_examples=8)
@given(data=st.data())
def test_rows_out_of_range_are_drawn_as_at_the_limit_by_all(picture_tolerance, primitive, edge, backends, data):
    rows = data.draw(extreme_rows(primitive))
    low, high = limits_of(primitive)
    limited = Scene(np.clip(rows, low, high), dataclasses.replace(CANVAS, edge=edge), kinds=primitive)
    # Beside the rim's own rounding, that of a softness as wide as its distance; and the kernel takes a pixel at the
    # very centre to be 1e-6 px away from it.
    tolerance = picture_tolerance(limited) + 1e-6 + 1e-6 / (2 * limited.softness.min())
    expected = reference.render(limited)
    for backend in backends:
        picture, gradient = drawing(backend, primitive, edge)(rows)
        np.testing.assert_allclose(picture, expected, rtol=0, atol=tolerance, err_msg=backend)
        assert np.isfinite(gradient).all()
        assert not gradient[(rows < low) | (rows > high)].any()


@ALL
def test_values_at_a_limit_have_a_gradient_and_a_background_beyond_it_is_drawn_as_at_it(backends):
    expected = reference.gradient(SCENE, np.ones_like(TARGET))[0]
    low, high = limits_of()
    assert expected[(SCENE.rows == low) | (SCENE.rows == high)].all()
    limited = reference.render(SCENE.with_background((1, 0, 0.5)))
    for backend in backends:
        np.testing.assert_allclose(drawing(backend, "circle", "linear")(SCENE.rows)[1], expected, rtol=1e-4, atol=1e-4)
        name, options = FITS[backend]
        draw = load_renderer(name, options).drawing(SCENE)
        picture = draw(*(ARRAYS[name](np.float32(value)) for value in (SCENE.rows, (1.5, -0.5, 0.5))))
        np.testing.assert_allclose(picture, limited, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("backend", FITS)
def test_what_is_not_finite_is_refused_by_every_kernel(backend, value):
    name, options = FITS[backend]
    draw = load_renderer(name, options).drawing(SCENE)
    rows = SCENE.rows.copy()
    rows[1, place_of("radius")] = value
    with pytest.raises(InputError, match=f"row 1 has {value} in its .*; needs a finite number"):
        draw(ARRAYS[name](rows))
    with pytest.raises(InputError, match=r"background is .* needs three finite"):
        draw(ARRAYS[name](SCENE.rows), ARRAYS[name](np.float32([0, value, 0])))
    # Traced, nothing can be refused.
    if backend == COMPILED:
        assert np.isnan(jax.jit(draw)(rows)).all()
    if backend == "torch dense":
        assert torch.isnan(torch.func.vmap(draw)(torch.tensor(rows)[None])).all()


def test_integers_are_drawn_as_the_same_numbers():
    rows = np.int64(SCENE.with_columns(radius=2, softness=1, colour=[1, 0, 1], opacity=1).rows)
    expected = reference.render(Scene(rows, CANVAS))
    for name, options in (FITS[backend] for backend in {*FITS} - {COMPILED}):
        draw = load_renderer(name, options).drawing(SCENE)
        np.testing.assert_allclose(draw(ARRAYS[name](rows)), expected, rtol=0, atol=1e-6)


# --- immutability ---


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda scene: pickle.loads(pickle.dumps(scene))])
def test_a_copy_of_a_scene_is_equal_and_cannot_be_changed(how):
    copied = how(SCENE)
    assert copied.same_as(SCENE)
    for array in (copied.rows, copied.ids, copied.kinds):
        while isinstance(array, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.setflags(write=True)
            array = array.base
        assert isinstance(array, bytes)
