"""Hashtags: from what people type to labels worth training on."""
