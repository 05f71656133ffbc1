"""What the commands around training do: `train`, `average` and `evaluate`."""
