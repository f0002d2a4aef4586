"""Inference: from image bytes to tags, without Ray or HTTP."""
