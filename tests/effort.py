"""How many random cases the slow tests try."""

import os


def effort(count):
    """`count` times ARTPIPE_TEST_EFFORT; 5 makes 20,000 broken pictures, 26,000 broken files and 30 kills."""
    return max(1, round(count * float(os.environ.get("ARTPIPE_TEST_EFFORT", "1"))))
