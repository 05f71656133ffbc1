"""Match a file of no known layout to a network by its structure: kind, shape and order of its layers."""
