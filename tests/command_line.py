"""The command line as tests call it, in this process."""

from artpipe.pipeline.cli import main
from click.testing import CliRunner


def run_cli(*words):
    """What a command line came to. A traceback fails the test."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeeded(*words):
    """As `run_cli`, for what has to succeed."""
    result = run_cli(*words)
    assert result.exit_code == 0, result.output
    return result


def refusal(*words):
    """The one line on stderr by which a command line is refused."""
    result = run_cli(*words)
    lines = result.stderr.splitlines()
    assert result.exit_code == 1 and result.stdout == ""
    assert len(lines) == 1 and lines[0].startswith("Error: ")
    return lines[0]
