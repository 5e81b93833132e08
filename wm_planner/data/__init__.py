"""Recorded experience: play collection and datasets."""
