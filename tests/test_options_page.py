"""docs/options.md agrees with the options. UPDATE=1 writes it."""

import os
from pathlib import Path

import pytest

from artpipe.pipeline.cli.options_page import options_page

PAGE = Path(__file__).parents[1] / "docs" / "options.md"


def test_the_page_of_options_is_up_to_date():
    if not (PAGE.parents[1] / "README.md").exists():
        pytest.skip("docs/ is not beside tests/")
    if os.environ.get("UPDATE") == "1":
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(options_page(), encoding="utf-8")
    written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    assert written == options_page(), "run: UPDATE=1 pytest tests/test_options_page.py"
