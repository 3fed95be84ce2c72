"""The primitives in the compiled kernel: one file each, and the dispatch between them."""
