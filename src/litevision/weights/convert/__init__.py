"""How each origin names and lays out its tensors: one file per origin, a map per family, total on both sides."""
