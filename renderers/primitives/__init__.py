"""The table of primitives, and how their coverage falls off at the rim."""
