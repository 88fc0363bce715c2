"""The run that a command line asks for, as values for the engine; shared by the verbs that start one."""

from collections.abc import Mapping

from devport.commands.arguments import Arguments, port_number
from devport.errors import UsageError
from devport.model import NOTHING, RunOptions, View


def run_options(
    arguments: Arguments,
    *,
    environ: Mapping[str, str] = NOTHING,
    env_files: Mapping[str, str] = NOTHING,
    view: View | None = None,
    reassign: frozenset[str] = frozenset(),
) -> RunOptions:
    """What the options say; an option that the verb does not have is at its default.

    `environ` and `env_files` (the project's) are where a PORT may come from.
    """
    default = RunOptions()
    base = arguments.port("--port")
    return RunOptions(
        grace=arguments.seconds("--timeout", default.grace),
        base=base or base_port(env_files, "the env files") or base_port(environ, "the environment"),
        strict=arguments.either("--strict-ports", "--no-strict-ports"),
        reassign=reassign,
        env_wins=arguments.flag("--env-wins"),
        keep_going=arguments.flag("--keep-going"),
        pty=arguments.either("--pty", "--no-pty"),
        view=view or default.view,
    )


def base_port(variables: Mapping[str, str], source: str) -> int | None:
    """The port that PORT asks for; an empty one counts as unset."""
    text = variables.get("PORT")
    if not text:
        return None
    if (number := port_number(text)) is not None:
        return number
    raise UsageError(f'cannot use PORT="{text}" from {source}: a port is a number from 1 to 65535')
