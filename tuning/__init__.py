"""Sweeps over vocabularies and resampling strengths."""
