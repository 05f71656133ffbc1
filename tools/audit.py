"""Looks up what is locked among known vulnerabilities, and lists it for others: build/sbom-SET.json, CycloneDX.

    make audit

The exit code is 1 where something vulnerable is locked, and 0 where nothing is, or where nobody could be asked.
"""

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
LOCKS = {"base": "what a user installs to run models", "dev": "everything, tests and docs included"}
TIME_LIMIT_S = 300


def main() -> int:
    BUILD.mkdir(exist_ok=True)
    for name, what in LOCKS.items():
        done = run("cyclonedx-py", "requirements", f"lock/{name}.txt", "--output-file", f"build/sbom-{name}.json")
        if done.returncode != 0:
            sys.exit(f"error: no list of {name}: {done.stderr.strip()}")
        print(f"build/sbom-{name}.json: {what}")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "audit.json"
        try:
            done = run(
                *("pip-audit", "--disable-pip", "--require-hashes", "--requirement", "lock/dev.txt"),
                *("--progress-spinner", "off", "--format", "json", "--output", out),
            )
        except subprocess.TimeoutExpired:
            return conclude([], f"no answer in {TIME_LIMIT_S} s")
        if not out.is_file():
            return conclude([], (done.stderr.strip().splitlines() or ["pip-audit gave no answer"])[-1])
        return conclude(json.loads(out.read_text())["dependencies"])


def run(program: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [Path(sysconfig.get_path("scripts")) / program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_S)


def conclude(packages: list[dict[str, Any]], why: str = "the index gives no advisories here") -> int:
    """Print what was found, and give the exit code; a package that nobody knew is not counted as sound."""
    asked = [package for package in packages if "skip_reason" not in package]
    vulnerable = [package for package in asked if package["vulns"]]
    for package in vulnerable:
        for fault in package["vulns"]:
            mended = ", ".join(fault["fix_versions"]) or "no version"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}")
    if not asked:
        print(f"audit: could not be checked: offline ({why})")
    else:
        print(f"audit: {len(asked)} of {len(packages)} packages checked, {len(vulnerable)} with known vulnerabilities")
    return int(bool(vulnerable))


if __name__ == "__main__":
    sys.exit(main())
