"""Evaluation: hashtag metrics, transfer probe, confidence intervals."""
