"""Detection: where objects are in an image, and what they are."""
