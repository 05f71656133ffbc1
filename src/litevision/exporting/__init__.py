"""From a network to a checked bundle."""
