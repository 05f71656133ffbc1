"""Writes lock/: for each set of extras that the Makefile installs, every package with the SHA-256 of its files.

    python tools/lock.py

Versions are those of constraints.txt, for every system and every Python from the lowest that the set runs on. Needs uv
(pip install uv) and an index; installing from the locks needs pip alone.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Extras, and the lowest Python: mkdocs-material's newest extensions ask for 3.11.5.
SETS = {
    "base": ((), "3.11"),
    "train": (("train",), "3.11"),
    "serve": (("serve",), "3.11"),
    "docs": (("docs",), "3.11.5"),
    "dev": (("train", "serve", "dev", "docs"), "3.11.5"),
    "audit": (("audit",), "3.11"),
}
BUILD = "hatchling\neditables"  # make the editable install, which gets no build environment of its own


def main() -> None:
    for name, (extras, python) in SETS.items():
        path = ROOT / f"lock/{name}.txt"
        command = [
            *(Path(sysconfig.get_path("scripts")) / "uv", "pip", "compile", "pyproject.toml", "-"),
            *(word for extra in extras for word in ("--extra", extra)),
            *("--constraints", "constraints.txt", "--python-version", python, "--universal"),
            *("--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
        ]
        done = subprocess.run(command, input=BUILD, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        head = "# Written by tools/lock.py. To install: pip install --require-hashes -r this.\n"
        path.write_text(head + done.stdout)
        print(f"{path.relative_to(ROOT)}: {done.stdout.count('==')} packages")


if __name__ == "__main__":
    main()
