"""Where new shapes are placed: seeders propose, the exact gain decides."""
