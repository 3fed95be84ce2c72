"""Imports go one way, and the wheel holds the packages on disk."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"artpipe.pipeline": "pipeline", "artpipe.stages": "stages", "artpipe.renderers": "renderers"}
# The packages that each package must not import.
ABOVE = {"artpipe.renderers": ("artpipe.stages", "artpipe.pipeline"), "artpipe.stages": ("artpipe.pipeline",)}

if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("pyproject.toml is not beside the tests: they run on an installed wheel", allow_module_level=True)


def imports(source, package):
    """The absolute names of the modules that a source file of this package imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def modules(package):
    """The path and the package of each source file below a package."""
    folder = ROOT / FOLDERS[package]
    for path in sorted(folder.rglob("*.py")):
        yield path, ".".join([package, *path.parent.relative_to(folder).parts])


@pytest.mark.parametrize("package", ABOVE)
def test_imports_go_one_way_from_pipeline_to_stages_to_renderers(package):
    paths = []
    for path, home in modules(package):
        paths.append(path)
        for name in imports(path.read_text(encoding="utf-8"), home):
            allowed = not any(name == above or name.startswith(above + ".") for above in ABOVE[package])
            # `import artpipe` would reach all packages above.
            assert allowed and name != "artpipe", f"{path.relative_to(ROOT)} imports {name}"
    assert paths


def test_the_wheel_holds_every_package_on_disk():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    on_disk = {}
    for name, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            parts = path.parent.relative_to(ROOT / folder).parts
            # The package root is in the pipeline's folder.
            face = name == "artpipe.pipeline" and parts == ("artpipe",)
            on_disk["artpipe" if face else ".".join([name, *parts])] = path.parent.relative_to(ROOT).as_posix()
    assert sorted(setuptools["packages"]) == sorted(on_disk)
    for package, folder in on_disk.items():
        mapped = setuptools["package-dir"]
        # As in setuptools, the longest mapped prefix applies.
        prefix = max((p for p in mapped if package == p or package.startswith(p + ".")), key=len)
        assert "/".join([mapped[prefix], *package[len(prefix) :].split(".")[1:]]) == folder
