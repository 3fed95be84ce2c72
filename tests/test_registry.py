"""Renderers by name, what is said where one is missing, and what importing artpipe loads."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import artpipe
from artpipe import InputError, RendererOptions, load_renderer
from artpipe.renderers import RENDERERS
from artpipe.renderers.kernels import reference


def run(script):
    """Standard output of a fresh Python."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", RENDERERS)
def test_every_renderer_is_loaded_by_its_name(name):
    renderer = load_renderer(name)
    assert renderer.name == name
    for method in ("render", "loss_and_gradient", "worth"):
        assert callable(getattr(renderer, method))


@pytest.mark.parametrize("name", ["", "JAX", "tensorflow"])
def test_an_unknown_renderer_is_refused_and_the_known_are_listed(name):
    with pytest.raises(InputError, match=f"renderer '{name}' is unknown; choose one of jax, torch, cpu, reference"):
        load_renderer(name)
    with pytest.raises(InputError, match="is unknown"):
        artpipe.render(artpipe.Scene.empty(artpipe.Canvas(2, 2)), name)


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_the_tiled_kernel_is_refused_on_a_gpu(name):
    with pytest.raises(InputError, match="draws on the CPU; for a GPU choose kernel='dense'"):
        load_renderer(name, RendererOptions(device="cuda", kernel="numba"))


@pytest.mark.parametrize(
    ("library", "name", "cure"),
    [
        ("torch", "torch", "pip install 'artpipe[torch]'"),
        ("jax", "jax", "pip install artpipe"),
        ("optax", "jax", "pip install artpipe"),
        ("numba", "cpu", "pip install artpipe"),
    ],
)
def test_a_missing_library_is_named_with_its_cure_in_one_line(library, name, cure):
    message = run(f"""
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == {library!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Missing())
        import artpipe
        try:
            artpipe.load_renderer({name!r})
        except artpipe.BackendUnavailable as error:
            print(error)
    """)
    assert message == f"the {name} renderer needs {library}, which is not installed; try: {cure}"


def test_importing_artpipe_loads_no_framework_compiler_or_image_library():
    loaded = run("""
        import sys
        import artpipe
        artpipe.Scene, artpipe.Canvas, artpipe.load_renderer, artpipe.FitSettings, dir(artpipe)
        print(*sorted({name.split(".")[0] for name in sys.modules}))
    """)
    assert not {"jax", "jaxlib", "torch", "numba", "llvmlite", "optax", "imageio", "PIL"} & set(loaded.split())


@pytest.mark.parametrize(("name", "other"), [("cpu", "jax"), ("jax", "torch"), ("torch", "jax")])
def test_a_renderer_does_not_load_the_other_framework(name, other):
    loaded = run(f"""
        import sys
        import artpipe
        artpipe.load_renderer({name!r})
        print(*sys.modules)
    """)
    assert other not in loaded.split()


def test_every_public_name_of_artpipe_is_there():
    for name in artpipe.__all__:
        assert getattr(artpipe, name) is not None
        assert name in dir(artpipe)
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        _ = artpipe.paint


@pytest.mark.parametrize("name", RENDERERS)
def test_render_draws_by_any_renderer_and_by_the_kernel_if_none_is_named(name, rng, make_scene):
    scene = make_scene(rng, 5, 9, 7, radius=(1, 4))
    expected = reference.render(scene)
    np.testing.assert_allclose(artpipe.render(scene), expected, rtol=0, atol=5e-6)
    np.testing.assert_allclose(artpipe.render(scene, name), expected, rtol=0, atol=5e-6)
    assert artpipe.render(scene).dtype == np.float32
    assert artpipe.render(scene).shape == (7, 9, 3)


@pytest.mark.parametrize("platforms", ["cuda", "nonsense", "tpu"])
def test_a_platform_that_jax_does_not_find_is_laid_to_its_variable(platforms):
    message = run(f"""
        import os
        os.environ["JAX_PLATFORMS"] = {platforms!r}
        import artpipe
        try:
            artpipe.load_renderer("jax")
        except artpipe.BackendUnavailable as error:
            print(error)
    """)
    assert message.startswith(f"JAX finds no CPU with JAX_PLATFORMS='{platforms}'; unset that variable, or try")
    assert "\n" not in message


FORK = """
    import os
    import warnings
    warnings.simplefilter("ignore")  # JAX's own, at the fork
    import numpy as np
    import artpipe
    from artpipe import FitSettings, RendererOptions, Scene, load_fitting_renderer

    picture = np.full((120, 160, 3), 0.5, np.float32)

    def work():
        result = artpipe.fit(picture, count=4, steps=5, renderer={name!r})
        fit = load_fitting_renderer({name!r}, RendererOptions(kernel="dense")).fit(picture, result.scene.canvas)
        fit.put(result.scene)
        return fit.step([1.0] * 2)

    loss = work()
    reads, writes = os.pipe()
    if os.fork() == 0:
        try:
            words = "the same" if abs(work() / loss - 1) < 1e-4 else "another"
        except artpipe.BackendUnavailable as error:
            words = str(error)
        os.write(writes, words.encode())
        os._exit(0)
    os.close(writes)
    import select
    assert select.select([reads], [], [], 60)[0], "the child hangs"
    print(os.read(reads, 1000).decode())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_jax_says_that_it_cannot_be_used_again_after_a_fork():
    message = run(FORK.format(name="jax"))
    assert "JAX was used before this process was forked" in message and "spawn" in message


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_pytorch_fits_again_after_a_fork():
    assert run(FORK.format(name="torch")) == "the same"
