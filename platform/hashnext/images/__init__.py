"""Images: decoding under limits, cropping."""
