"""Networks: the ResNeXt family."""
