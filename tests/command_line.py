"""Calls of the command line in this process."""

from click.testing import CliRunner

from artpipe import InputError
from artpipe.pipeline.cli.commands import main
from artpipe.stages.pictures.picture import picture_size
from artpipe.stages.pictures.sizes import DEFAULT_SIZE


def run_cli(*words, enlarge=False):
    """The result of a command line. A traceback fails the test.

    Args:
        words: its words.
        enlarge: whether `run` and `load` may enlarge a small picture; by default `--size` keeps it small, to be fast.
    """
    words = [str(word) for word in words]
    if not enlarge and words[:1] in (["run"], ["load"]) and not {"--size", "--config"} & set(words):
        words[2:2] = _size_of(*words[1:2])
    result = CliRunner().invoke(main, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _size_of(picture="none"):
    """The option that keeps the size of a small picture."""
    try:
        longest = max(picture_size(picture))
    except InputError:
        return []
    return ["--size", str(longest)] if longest < DEFAULT_SIZE else []


def succeeded(*words, enlarge=False):
    """As `run_cli`; fails unless the exit code is 0."""
    result = run_cli(*words, enlarge=enlarge)
    assert result.exit_code == 0, result.output
    return result


def refusal(*words):
    """The one-line error of a refused command line."""
    result = run_cli(*words)
    lines = result.stderr.splitlines()
    assert result.exit_code == 1 and result.stdout == ""
    assert len(lines) == 1 and lines[0].startswith("Error: ")
    return lines[0]
