"""The tagging endpoint on Ray Serve."""
