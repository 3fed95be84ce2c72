"""Files of scenes and snapshots: checked strictly, written atomically."""
