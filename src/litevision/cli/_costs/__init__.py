"""What the commands about costs share."""
