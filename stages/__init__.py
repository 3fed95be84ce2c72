"""What one step of the work does: seed, grow, refine, relocate. Calls renderers; called by pipelines."""
