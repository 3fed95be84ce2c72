"""Where new circles are placed: seeders propose, the exact gain decides."""
