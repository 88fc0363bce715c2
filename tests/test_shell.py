"""`exec` in front of what a shell runs: where it may stand, and where it would change the meaning."""

import os
import subprocess
import sys

import pytest

from devport.sources.shell import exec_simple

SIMPLE = [
    ("server", "exec server"),
    ("server --port 80", "exec server --port 80"),
    ("  server\n", "  exec server\n"),
    ("A=1 B='x y' C= server", "A=1 B='x y' C= exec server"),
    ("./bin/server \\\n  --port 80", "exec ./bin/server \\\n  --port 80"),
    ("'my server' \"a;b\" 'c|d' e\\;f", "exec 'my server' \"a;b\" 'c|d' e\\;f"),
    ("server > log 2>&1", "exec server > log 2>&1"),
    ("server <in >>log", "exec server <in >>log"),
    ("server $PORT ${HOST:-localhost} # don't", "exec server $PORT ${HOST:-localhost} # don't"),
    ("server a#b", "exec server a#b"),
    ("$HOME/bin/server", "exec $HOME/bin/server"),
    ("env A=1 server", "exec env A=1 server"),
    ("~/bin/server *.py", "exec ~/bin/server *.py"),
]


@pytest.mark.parametrize(("text", "expected"), SIMPLE)
@pytest.mark.parametrize("shell", ["/bin/sh", "bash"])
def test_simple_command(text, expected, shell):
    """One program and its words: the shell makes way for it."""
    assert exec_simple((shell, "-c", text)) == (shell, "-c", expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "# nothing",
        "A=1",
        "a && b",
        "a || b",
        "a; b",
        "a &",
        "a\nb",
        "a | b",
        "(a)",
        "{ a; }",
        "! a",
        "a $(b)",
        'a "$(b)"',
        "a `b`",
        'a "`b`"',
        "a <<x\nx",
        "a <(b)",
        "a &> log",
        "cd x",
        "exec a",
        "'exec' a",
        ". ./env",
        "while true",
        "if a",
        "[ -e x ]",
        "$SERVER",
        'a "b',
        "a 'b",
        "a \\",
        "a >",
        "f() { a; }",
        "time a",
        "a ${b:-$(c)}",
    ],
)
def test_left_alone(text):
    """What is more than one simple command, or the shell's own."""
    assert exec_simple(("/bin/sh", "-c", text)) == ("/bin/sh", "-c", text)


@pytest.mark.parametrize(
    "argv", [("server",), ("sh", "-c"), ("sh", "-ec", "a"), ("sh", "-c", "a", "b"), ("python3", "-c", "a")]
)
def test_no_shell(argv):
    """Only a shell's `-c TEXT`, and nothing behind it."""
    assert exec_simple(argv) == argv


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_same_pid_and_variables(shell):
    """With a real shell: the program has the shell's pid, its variables and its redirections."""
    code = 'import os; print(os.environ["A"], os.getpid())'
    argv = exec_simple((shell, "-c", f"A=1 B='x y' {sys.executable} -c '{code}' 2>&1"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as shell_process:
        said = shell_process.communicate()[0]

    assert said == f"1 {shell_process.pid}\n"
    assert os.path.basename(argv[0]) == shell


def test_long_text_is_quick():
    """No text makes the search slow."""
    for text in ("a " * 20000 + "&", "a=b " * 20000 + ";", "a >b " * 5000 + "(", "'" * 9999):
        assert exec_simple(("sh", "-c", text))[2] == text
