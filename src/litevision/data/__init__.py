"""Labelled data: readers, splits and the check for faults. No torch."""
