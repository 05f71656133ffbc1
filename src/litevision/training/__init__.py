"""Training: from labelled images to a checked bundle and a report."""
