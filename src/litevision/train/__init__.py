"""Training: from labelled pictures to a checked bundle and a report."""
