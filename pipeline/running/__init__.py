"""Runs a plan: the runner, pacing, stop rules, observers, interruption and memory."""
