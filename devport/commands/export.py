"""Write the project's entries as files for another manager.

usage: devport export [options] [--] FORMAT [LOCATION] [NAME...]

FORMAT is one of tmux, systemd, supervisord, runit, launchd, upstart,
process-compose, mprocs, procfile, compose, kubernetes and nomad. The files
are written to the folder LOCATION. Without one, or with -, a format of one
file is printed. Every service keeps the port that it has here.

Options:
  -a APP, --app APP     what the export is called, if not as the folder
  -u USER, --user USER  who runs the services
  -l DIR, --log DIR     where their logs go
  --shell PATH          the shell of commands that need one (default /bin/sh)
  --system              systemd: units for the system, not for a user
  --supervised          tmux: devport's supervisor in each window
  --attach              tmux: the script ends by attaching to the session
  -t DIR, --template-dir DIR
                        templates that replace the built-in ones
  -n, --dry-run         write nothing, show what would change
  --prune               remove what an earlier export wrote in excess
  --force               replace files that are there and that no export wrote

Which project and entries:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml
  --root DIR            the folder of the project
  -e FILES, --env FILES
                        env files instead of .env
  --except NAMES        all but these
  -c LIST, --concurrency LIST
                        instances, as in web=2,worker=3; of others one
  -m LIST, --formation LIST
                        instances, as in all=1,web=2; of others none
  -p BASE, --port BASE  count ports from BASE, 100 an entry, as foreman does
  -h, --help            show this text

For example:
  devport export supervisord -
  devport export systemd ~/.config/systemd/user --app shop
"""

import os
import pwd
import re
from collections.abc import Mapping, Sequence

from devport import launch
from devport.commands import selection
from devport.commands.arguments import Arguments, parse
from devport.commands.options import run_options
from devport.context import Context
from devport.encoding import encode, printable
from devport.errors import DevportError, ExitStatus, UsageError
from devport.export import formats, templates
from devport.export.parts import Part
from devport.export.plan import COMMON, SPECIAL, Exporter, File, Plan, Unit
from devport.export.target import Changes, Target
from devport.model import BACKGROUND_RESTART, Project, Service
from devport.project import formation, load

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def run(context: Context, argv: Sequence[str]) -> int:
    """Write or print the export that `argv` asks for."""
    arguments = parse(__doc__, argv)
    format_, location, names = _words(arguments)
    exporter = formats.find(format_)
    formats.check_options(format_, exporter, [one for one in COMMON | SPECIAL if arguments.flag(f"--{one}")])
    shell = _shell(arguments)
    own = _templates(context, arguments.text("--template-dir"), format_, exporter)
    project = selection.project(arguments, context)
    if location is not None and (location.startswith("@") or selection.found(project.services, location)):
        _want_folder(context, location)
    plan = _plan(context, arguments, project, names)._replace(shell=shell, templates=own)
    files = formats.render(format_, exporter, plan)
    if location is None:
        return _print(context, arguments, format_, files)
    _spare_sources(project, [os.path.join(context.path(location), one.path) for one in files])
    target = Target(context.path(location), plan.app, format_, project.root)
    prune, is_dry = arguments.flag("--prune"), arguments.flag("--dry-run")
    if is_dry:
        context.show(target.diff(files, prune=prune))
        _say_left(context, target.left(files, prune=prune), context.path(location))
    if not arguments.flag("--force") and (foreign := target.foreign(files)):
        path = os.path.join(context.path(location), foreign[0])
        other = target.writer(foreign[0])
        why = f"it is there, and no export of {plan.app} wrote it"
        if other:
            why = f"an export of {plan.app} from {printable(other)} wrote it"
        raise DevportError(f"cannot write {printable(path)}: {why} (--force replaces it)")
    if not is_dry:
        _say(context, target.write(files, prune=prune), context.path(location))
    return ExitStatus.OK


def _words(arguments: Arguments) -> tuple[str, str | None, tuple[str, ...]]:
    """FORMAT, LOCATION (None: standard output) and NAMEs."""
    if not arguments.words:
        raise arguments.wrong("no FORMAT given")
    format_, *rest = arguments.words
    location, names = (rest[0], tuple(rest[1:])) if rest else (None, ())
    if location == "":  # a variable of a script that is not set: not the folder we happen to be in
        raise arguments.wrong("LOCATION is empty")
    return format_, None if location == "-" else location, names


def _want_folder(context: Context, name: str) -> None:
    """UsageError where `name`, which stands in the place of LOCATION, is an entry's and no folder's."""
    if not os.path.isdir(encode(context.path(name))):
        what, shown = "a group" if name.startswith("@") else "an entry", printable(name)
        raise UsageError(
            f"cannot export to {shown}: that is {what}, and no folder is called so"
            f" (LOCATION comes before the names; ./{shown} makes the folder)"
        )


def _plan(context: Context, arguments: Arguments, project: Project, names: Sequence[str]) -> Plan:
    selection.warn(context, project.warnings)
    counts = {
        short: formation.parse_counts(",".join(texts), short)
        for short, name in (("-c", "--concurrency"), ("-m", "--formation"))
        if (texts := arguments.texts(name))
    }
    services, notices = selection.choose(
        project, names, arguments.names("--except"), counts.get("-c"), counts.get("-m")
    )
    for notice in (*notices, *_left_out(project, services, (*names, *arguments.names("--except"), *counts))):
        context.say(f"devport: {notice}")
    options = run_options(arguments, environ=context.environ, env_files=project.env)
    return Plan(
        app_name(arguments, project),
        project.root,
        tuple(
            _with_shell(unit(one), arguments.text("--shell"))
            for one in launch.for_export(context, project, services, options)
        ),
        user=_user(arguments),
        log=None if (log := arguments.text("--log")) is None else context.path(log),
        options=frozenset(one for one in SPECIAL if arguments.flag(f"--{one}")),
        groups=project.groups,
        origin=_origin(context, arguments),
    )


def _left_out(project: Project, services: Sequence[Service], asked: Sequence[str]) -> list[str]:
    """A notice of each service that is not exported, where nothing `asked` says which are.

    A task that nobody waits for is not missed; of the others it may have been forgotten.
    """
    there = {one.entry for one in services}
    return [
        f"{printable(one.entry)} is left out: it starts only when it is named"
        for one in project.services
        if not asked and one.enable == "false" and one.entry not in there
    ]


def _spare_sources(project: Project, paths: Sequence[str]) -> None:
    """UsageError where one of `paths` is a file that devport reads the project from."""
    own_env = (path for service in project.services for path in service.env_files)
    # The .env too where it is not read this time: the next call without -e reads it.
    sources = (*project.sources, os.path.join(project.root, ".env"), *own_env)
    resolved = {os.path.realpath(encode(source)) for source in sources}
    for path in paths:
        if os.path.realpath(encode(path)) in resolved:
            raise UsageError(
                f"cannot export to {printable(path)}: the project is read from there (name another LOCATION)"
            )


def _origin(context: Context, arguments: Arguments) -> tuple[str, ...]:
    """The words by which devport reads the same again."""
    files = [file if file == "-" else context.path(file) for file in arguments.texts("--file")]
    env_files = load.env_paths(context, arguments.texts("--env"))
    base = arguments.text("--port")
    return (
        *(word for file in files for word in ("-f", file)),
        *(word for file in env_files for word in ("-e", file)),
        *(("-p", base) if base is not None else ()),
    )


def unit(one: launch.Launch) -> Unit:
    """What an export has of `one`."""
    service = one.service
    return Unit(
        service.name,
        one.argv,
        service.cwd,
        one.environment,
        one.ports,
        service,
        service.restart or BACKGROUND_RESTART,
        one.parts,
    )


def _shell(arguments: Arguments) -> str:
    """The shell of `--shell`, which need not be there: the export may be for another machine."""
    shell = arguments.text("--shell")
    if shell is None:
        return "/bin/sh"
    # Each service has a folder of its own, from which a path would be looked for.
    if not shell or ("/" in shell and not shell.startswith("/")):
        raise UsageError(
            f"cannot use --shell {printable(shell) or chr(39) * 2}: it wants a name or an absolute path"
        )
    return shell


def _with_shell(found: Unit, shell: str | None) -> Unit:
    if shell is None or found.text is None:
        return found
    return found._replace(argv=(shell, "-c", found.text), parts=((Part(shell),), *found.parts[1:]))


def app_name(arguments: Arguments, project: Project) -> str:
    """What the export is called: as `--app` says, else like the project's folder."""
    app = arguments.text("--app")
    if app is None:
        return re.sub("[^A-Za-z0-9_-]+", "-", os.path.basename(project.root)).strip("-_")[:63] or "app"
    if not NAME.fullmatch(app):
        raise UsageError(
            f"cannot call an export {printable(app) or chr(39) * 2}: a name is made of A-Z a-z 0-9 _ -,"
            " the first a letter or a digit, and is at most 63 long"
        )
    return app


def _user(arguments: Arguments) -> str | None:
    user = arguments.text("--user")
    if user is not None:
        try:
            pwd.getpwnam(user)
        except KeyError as error:
            raise UsageError(f"cannot use --user {printable(user)}: there is no such user here") from error
    return user


def _templates(context: Context, folder: str | None, format_: str, exporter: Exporter) -> Mapping[str, str]:
    """The user's templates, by name."""
    if folder is None:
        return {}
    found = templates.read(context.path(folder), folder, format_, exporter)
    for warning in found.warnings:
        context.say(f"devport: {warning}")
    return found.texts


def _print(context: Context, arguments: Arguments, format_: str, files: Sequence[File]) -> int:
    if len(files) != 1:
        listed = ", ".join(file.path for file in files)
        raise arguments.wrong(f"{format_} writes several files ({listed}): name a LOCATION")
    for option in ("--dry-run", "--prune"):
        if arguments.flag(option):
            raise arguments.wrong(f"option {option} goes with a LOCATION")
    context.show(files[0].content)
    return ExitStatus.OK


def _say(context: Context, changes: Changes, location: str) -> None:
    for path in changes.written:
        context.say(f"devport: wrote {printable(os.path.join(location, path))}")
    for path in changes.removed:
        context.say(f"devport: removed {printable(os.path.join(location, path))}")
    _say_left(context, changes, location)
    if not changes.written and not changes.removed:
        context.say("devport: nothing has changed")


def _say_left(context: Context, changes: Changes, location: str) -> None:
    for path in changes.stale:
        context.say(
            f"devport: {printable(os.path.join(location, path))} is of an earlier export (--prune removes it)"
        )
    for path in changes.kept:
        context.say(
            f"devport: {printable(os.path.join(location, path))} was changed by hand since, and stays"
        )
