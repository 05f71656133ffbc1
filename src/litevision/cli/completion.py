"""litevision completion: a script that makes a shell complete commands, options and their known values."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from litevision.cli.parser import GLOBAL_OPTIONS, argument, choices_of, fields_of, option_names


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Print a script that makes a shell complete commands, options, models and other known names.

    bash: add the line above to ~/.bashrc. zsh: litevision completion zsh > "${fpath[1]}/_litevision". fish: litevision
    completion fish > ~/.config/fish/completions/litevision.fish.
    """

    examples: ClassVar = ('eval "$(litevision completion bash)"',)
    shell: str = argument(metavar="SHELL", choices=("bash", "zsh", "fish"), help="Shell that reads the script.")


def run(options: CompletionOptions) -> int:
    """Print the script."""
    from litevision.errors import UnknownNameError

    scripts = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    if options.shell not in scripts:
        raise UnknownNameError.of("shell", options.shell, scripts)
    print(scripts[options.shell](list(_completions())))
    return 0


class _Completion(NamedTuple):
    """What can be typed behind a command: its options, and the known values of each and of its arguments."""

    command: str
    help: str
    options: list[tuple[list[str], str, bool]]  # names, help, whether a value follows
    values: dict[str, list[str]]  # by an option's long name; under "" those of positional arguments


def _completions() -> Iterator[_Completion]:
    from litevision.cli.commands import COMMANDS, load_command
    from litevision.cli.help import help_of

    for name, command in COMMANDS.items():
        fields = fields_of(load_command(name)[1])
        options = [
            (option_names(field), help_of(field).split(". ")[0], field.type is not bool)
            for field in fields
            if not _is_argument(field)
        ]
        options += [(names.split(", "), text, False) for names, text in GLOBAL_OPTIONS.items()]
        values: dict[str, list[str]] = {}
        for field in fields:
            if choices := list(choices_of(field)):
                values.setdefault("" if _is_argument(field) else option_names(field)[-1], []).extend(choices)
        yield _Completion(name, command.help, options, values)


def _is_argument(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("positional"))


_BASH = r"""# litevision: completion for bash
_litevision() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= word options= values= names=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $word != -* ]] && { command=$word; break; }
    done
    COMPREPLY=()
    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "@COMMANDS@ --help --version --quiet --verbose --unchecked" -- "$current"))
        return
    fi
    case $command in
@OPTIONS@
    esac
    case "$command $previous" in
@VALUES@
    esac
    if [[ -n $values ]]; then
        COMPREPLY=($(compgen -W "$values" -- "$current"))
        ((${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- "$current"))
    elif [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
    else
        COMPREPLY=($(compgen -W "$names" -- "$current") $(compgen -f -- "$current"))
    fi
}
complete -o filenames -F _litevision litevision"""


def _bash(completions: list[_Completion]) -> str:
    options, values = [], []
    for it in completions:
        names = " ".join(it.values.get("", []))
        typed = " ".join(name for names, _, _ in it.options for name in names)
        options.append(f'        {it.command}) options="{typed}" names="{names}" ;;')
        for name, known in it.values.items():
            if name:
                values.append(f'        "{it.command} {name}") values="{" ".join(known)}" ;;')
    return (
        _BASH.replace("@COMMANDS@", " ".join(it.command for it in completions))
        .replace("@OPTIONS@", "\n".join(options))
        .replace("@VALUES@", "\n".join(values))
    )


def _zsh(completions: list[_Completion]) -> str:
    lines = ["#compdef litevision", "_litevision() {", "    local -a commands", "    commands=("]
    lines += [f"        {_quoted(f'{it.command}:{it.help}')}" for it in completions]
    lines += [
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe command commands",
        "        return",
        "    fi",
    ]
    lines += ["    local command=$words[2]", "    shift words", "    (( CURRENT-- ))", "    case $command in"]
    for it in completions:
        lines.append(f"        {it.command})")
        lines.append("            _arguments \\")
        for names, text, takes_value in it.options:
            known = " ".join(it.values.get(names[-1], []))
            action = f":value:{f'({known})' if known else '_files'}" if takes_value else ""
            about = f"[{text.translate(_ZSH_ESCAPES)}]" if text else ""
            lines += [f"                {_quoted(f'{name}{about}{action}')} \\" for name in names]
        known = " ".join(it.values.get("", []))
        rest = f'*:argument:_alternative "names:name:({known})" "files:file:_files"' if known else "*:file:_files"
        lines.append(f"                {_quoted(rest)} ;;")
    return "\n".join([*lines, "    esac", "}", '_litevision "$@"'])


_ZSH_ESCAPES = str.maketrans({"[": r"\[", "]": r"\]", ":": r"\:"})


def _fish(completions: list[_Completion]) -> str:
    lines = ["# litevision: completion for fish"]
    for it in completions:
        lines.append(f"complete -c litevision -f -n __fish_use_subcommand -a {it.command} -d {_quoted(it.help)}")
        begin = f"complete -c litevision -n '__fish_seen_subcommand_from {it.command}'"
        if known := it.values.get("", []):
            lines.append(f"{begin} -a {_quoted(' '.join(known))}")
        for names, text, takes_value in it.options:
            parts = [f"-s {name[1:]}" if len(name) == 2 else f"-l {name[2:]}" for name in names]
            if takes_value:
                parts.append("-r")
            if known := it.values.get(names[-1], []):
                parts.append(f"-f -a {_quoted(' '.join(known))}")
            if text:
                parts.append(f"-d {_quoted(text)}")
            lines.append(f"{begin} {' '.join(parts)}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """The text in single quotes, as zsh and bash read it."""
    return "'" + text.replace("'", "'\\''") + "'"
