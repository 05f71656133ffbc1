"""What is particular to training detectors."""
