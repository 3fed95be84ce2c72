"""`artpipe bench`: growth against the fixed count, JAX against PyTorch, and what a step costs."""
