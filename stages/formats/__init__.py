"""Files of scenes and snapshots: read strictly, written whole."""
