"""Losses and metrics between a picture and its target."""
