"""Damage on purpose: what `tools/torture.py` tries, a section a file."""
