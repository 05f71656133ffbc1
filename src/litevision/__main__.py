"""``python -m litevision``."""

from litevision.cli import main

main()
