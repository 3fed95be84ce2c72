"""Renderers by name, the errors where one is missing, and what importing artpipe loads."""

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
from artpipe.renderers.registry import FITTING_RENDERERS


def run(script):
    """Standard output of a fresh Python."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", RENDERERS)
def test_every_renderer_is_loaded_by_its_name_and_renders(name, rng, make_scene):
    assert load_renderer(name).name == name
    scene = make_scene(rng, 5, 9, 7, radius=(1, 4))
    expected = reference.render(scene)
    np.testing.assert_allclose(artpipe.render(scene, name), expected, rtol=0, atol=5e-6)
    plain = artpipe.render(scene)
    np.testing.assert_allclose(plain, expected, rtol=0, atol=5e-6)
    assert plain.dtype == np.float32 and plain.shape == (7, 9, 3)


@pytest.mark.parametrize("name", ["", "JAX", "tensorflow"])
def test_an_unknown_renderer_is_refused_and_the_known_are_listed(name):
    with pytest.raises(InputError, match=f"renderer '{name}' is unknown; choose one of jax, torch, cpu, reference"):
        load_renderer(name)


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_the_tiled_kernel_is_refused_on_a_gpu(name):
    with pytest.raises(InputError, match="draws on the CPU; for a GPU choose kernel='dense'"):
        load_renderer(name, RendererOptions(device="cuda", kernel="numba"))


def test_a_missing_library_is_named_with_its_cure_in_one_line():
    messages = run("""
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("jax", "torch", "numba"):
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Missing())
        import artpipe
        for name in ("torch", "jax", "cpu"):
            try:
                artpipe.load_renderer(name)
            except artpipe.BackendUnavailable as error:
                print(error)
    """)
    wanted = ("torch", "torch", "'artpipe[torch]'"), ("jax", "jax", "artpipe"), ("cpu", "numba", "artpipe")
    assert messages.splitlines() == [
        f"the {name} renderer needs {library}, which is not installed; try: pip install {cure}"
        for name, library, cure in wanted
    ]


def test_importing_artpipe_loads_no_library_and_a_renderer_only_its_own():
    imported, cpu, by_torch = run("""
        import sys
        import artpipe
        artpipe.Scene, artpipe.Canvas, artpipe.load_renderer, artpipe.FitSettings, dir(artpipe)
        for name in (None, "cpu", "torch"):
            if name is not None:
                artpipe.load_renderer(name)
            print(*{name.split(".")[0] for name in sys.modules})
    """).splitlines()
    assert not {"jax", "torch", "numba", "llvmlite", "optax", "imageio", "PIL"} & set(imported.split())
    assert not {"jax", "torch"} & set(cpu.split()) and "jax" not in by_torch.split()
    script = "import artpipe, sys; artpipe.load_renderer('jax'); print('torch' in sys.modules)"
    assert run(script) == "False"


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_a_fit_of_the_squared_error_on_the_cpu_imports_no_framework(renderer):
    pytest.importorskip(renderer)
    loaded = run(f"""
        import sys
        import numpy as np
        import artpipe
        artpipe.fit(np.zeros((8, 8, 3)), renderer="{renderer}", count=2, steps=2)
        print({{"jax", "torch"}} & set(sys.modules))
    """)
    assert loaded == "set()"


def test_every_public_name_of_artpipe_is_there():
    for name in artpipe.__all__:
        assert getattr(artpipe, name) is not None
        assert name in dir(artpipe)
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        _ = artpipe.paint


def test_a_platform_that_jax_does_not_find_is_blamed_on_its_variable():
    message = run("""
        import os
        os.environ["JAX_PLATFORMS"] = "nonsense"
        import artpipe
        try:
            artpipe.load_renderer("jax", artpipe.RendererOptions(kernel="dense"))
        except artpipe.BackendUnavailable as error:
            print(error)
    """)
    assert message.startswith("JAX finds no CPU with JAX_PLATFORMS='nonsense'; unset that variable, or try")
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
def test_after_a_fork_jax_refuses_and_pytorch_fits_again():
    message = run(FORK.format(name="jax"))
    assert "JAX was used before this process was forked" in message and "spawn" in message
    assert run(FORK.format(name="torch")) == "the same"
