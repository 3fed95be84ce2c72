"""How much work the slow tests do that break files and kill runs at random."""

import os


def effort(count):
    """So many cases, times ARTPIPE_TEST_EFFORT; 5 make 20,000 broken pictures, 26,000 files and 30 kills."""
    return max(1, round(count * float(os.environ.get("ARTPIPE_TEST_EFFORT", "1"))))
