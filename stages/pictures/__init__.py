"""Pictures in: decoding, colour, resampling, and what each pixel counts."""
