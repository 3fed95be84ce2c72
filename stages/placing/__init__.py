"""Placement of new shapes: seeders propose candidates, their exact gain decides."""
