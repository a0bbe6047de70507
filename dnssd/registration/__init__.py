"""Joining and leaving: pure plans, and one place that carries them out."""
