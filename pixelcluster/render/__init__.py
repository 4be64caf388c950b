"""Pictures of label maps: palettes, overlays, contact sheets."""
