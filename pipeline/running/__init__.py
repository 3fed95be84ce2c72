"""Carrying out a plan: the runner, its stop rules, observers, interruption and memory."""
