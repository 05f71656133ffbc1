"""From a bundle to a smaller one in int8, behind a gate that measures it. No torch."""
