"""What changes from one vocabulary to another, told by where the hashtags went."""
