"""The largest numbers that options accept."""

from .formats.scene_arrays import ROWS_MAX

COUNT_MAX = ROWS_MAX  # shapes; limit of scene files
POOL_MAX = 4  # shapes during the search over those at the end
POOL_COUNT_MAX = POOL_MAX * COUNT_MAX
STEPS_MAX = 10_000_000
REDUCTION_MAX = 64  # pixels of the full canvas along a side of one of the reduced canvas
SECONDS_MAX = 1e7  # four months
PSNR_MAX = 200.0  # dB; float32 reaches about 140
