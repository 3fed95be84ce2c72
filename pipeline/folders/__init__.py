"""The run folder: what it holds, who works in it, and its checkpoints."""
