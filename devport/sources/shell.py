"""Whether a shell's command can take the shell's place: pure.

A process that is told of its sockets by LISTEN_PID, or that speaks for itself by its pid, has to be the one
that devport forked, and not a child of the `sh -c` around it.
"""

import os
import re

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})

# Anything that may be part of a word; no substitution of a command, no operator, no unfinished quote.
# Nothing here goes back on what it has taken (`*+`), so that no text takes long.
_PIECE = r"""(?:'[^']*+'|"(?:[^"\\`$]|\\.|\$(?!\())*+"|\\.|\$(?!\()|[^\s'"\\;&|()<>`$#])"""
_WORD = rf"(?:{_PIECE}(?:{_PIECE}|\#)*+)"
_ASSIGNMENT = rf"(?:[A-Za-z_][A-Za-z0-9_]*+=(?:{_PIECE}|\#)*+)"
_REDIRECTION = rf"(?:(?:>>|>\||[<>]&|<>|[<>](?![<>(&|]))[ \t]*{_WORD})"
_SIMPLE = (
    rf"(?P<before>\s*+(?:{_ASSIGNMENT}[ \t]+)*+)(?P<program>{_WORD})"
    rf"(?:{_REDIRECTION}|[ \t]++(?:{_WORD}|{_REDIRECTION}))*+"
    r"(?:[ \t]+(?:\#[^\n]*+)?)?\s*+"
)

# What only the shell itself can do; `exec` would look for a program of that name.
_ITS_OWN = re.compile(
    r"[.:!{}\[]|\[\[|alias|bg|break|builtin|case|cd|command|continue|coproc|declare|dirs|do|done|echo|elif|else"
    r"|enable|esac|eval|exec|exit|export|false|fc|fg|fi|for|function|getopts|hash|if|in|jobs|let|local|logout"
    r"|popd|printf|pushd|pwd|read|readonly|return|select|set|shift|shopt|source|suspend|test|then|time|times"
    r"|trap|true|type|typeset|ulimit|umask|unalias|unset|until|wait|while"
)


def exec_simple(argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` with `exec` in front of its command, where it is `sh -c TEXT` and TEXT one simple command.

    The `exec` goes behind assignments (`A=1 exec server`). Everything else is returned as it is: several
    commands, pipes, `&&`, substitutions, what only a shell can do; there the author has to write
    `prepare && exec server`.
    """
    if len(argv) != 3 or argv[1] != "-c" or os.path.basename(argv[0]) not in SHELLS:  # noqa: PLR2004
        return argv
    found = re.fullmatch(_SIMPLE, argv[2], re.DOTALL)
    if found is None or not _is_program(found["program"]):
        return argv
    place = found.end("before")
    return (*argv[:2], f"{argv[2][:place]}exec {argv[2][place:]}")


def _is_program(word: str) -> bool:
    """Whether `word`, as it is written, can be executed: it is no assignment and nothing of the shell's."""
    if re.match(r"[A-Za-z_][A-Za-z0-9_]*\+?=", word) or ("$" in word and "/" not in word):
        return False  # a variable may hold anything
    return _ITS_OWN.fullmatch(re.sub(r"""['"\\]""", "", word)) is None
