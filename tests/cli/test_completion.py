"""litevision completion: what the shells are told; bash is asked itself."""

import re
import shutil
import subprocess
from collections.abc import Callable

import pytest

from litevision.cli.commands import COMMANDS, load_command
from litevision.cli.parser import fields_of, option_names

Run = Callable[..., tuple[int, str, str]]

BASH = shutil.which("bash")


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("cl", {"classify"}),
        ("--v", {"--version", "--verbose"}),
        ("classify --en", {"--engine"}),
        ("classify x.jpg --engine o", {"onnxruntime", "openvino"}),
        ("classify x.jpg --model clo", {"clothing"}),
        ("--quiet check", {"check-data"}),
        ("export --ph", set()),
        ("completion ", {"bash", "zsh", "fish"}),
        ("compare cen", {"centernet"}),
    ],
)
def test_bash_completes(litevision: Run, tmp_path: object, typed: str, offered: set[str]) -> None:
    code, script, err = litevision("completion", "bash")
    assert (code, err) == (0, "")
    words = ["litevision", *typed.split(" ")]
    asked = f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; _litevision"
    program = f'{script}\n{asked}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    assert BASH
    done = subprocess.run([BASH, "-c", program], cwd=str(tmp_path), capture_output=True, text=True, check=True)
    assert (set(done.stdout.split()), done.stderr) == (offered, "")


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_bash_completes_files(litevision: Run, tmp_path: object) -> None:
    _, script, _ = litevision("completion", "bash")
    (folder := str(tmp_path)) and subprocess.run(["touch", f"{folder}/photo.jpg"], check=True)
    program = f"{script}\nCOMP_WORDS=(litevision classify ph); COMP_CWORD=2; _litevision; echo ${{COMPREPLY[@]}}"
    assert BASH
    done = subprocess.run([BASH, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "photo.jpg\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_know_every_option(litevision: Run, shell: str) -> None:
    code, script, err = litevision("completion", shell)
    assert (code, err) == (0, "")
    for name in COMMANDS:
        if shell == "zsh":
            part = re.search(rf"^        {name}\)\n(.*?) ;;$", script, re.MULTILINE | re.DOTALL)
            assert part
            known = set(re.findall(r"^ +'(--?[\w-]+)", part[1], re.MULTILINE))
        else:
            lines = re.findall(rf"^complete -c litevision -n '__fish_seen_subcommand_from {name}' (.*)$", script, re.M)
            known = {f"--{found[1]}" for line in lines if (found := re.search(r"-l ([\w-]+)", line))}
        fields = [field for field in fields_of(load_command(name)[1]) if not field.metadata.get("positional")]
        assert {option_names(field)[-1] for field in fields} | {
            "--help",
            "--quiet",
            "--verbose",
            "--unchecked",
        } <= known
    assert "--photos" not in script


def test_an_unknown_shell(litevision: Run) -> None:
    assert litevision("completion", "tcsh") == (1, "", "error: no shell 'tcsh'. Known: bash, zsh, fish.\n")
