"""process-compose.yaml: what v1.122 of process-compose takes it for.

Its traps: `restart: no` is a word; a dependency without a condition (or with nothing at all) waits for the
end of the other; `${NAME}` is replaced in the whole text before it is YAML and `$$` is a dollar, `{{.NAME}}`
is a template; a command is bash's; `environment` is a list; numbers may be texts; replicas are counted from
0.
"""

from collections.abc import Mapping

from devport.imports.draft import Draft, Entry, quoted
from devport.imports.process import Process, command
from devport.imports.tree import Book, Source
from devport.project.yaml_nodes import Table

WORDS = {
    "after": "depends_on",
    "exec": "command",
    "cwd": "working_dir",
    "env": "env_file",
    "restart": "availability",
    "stop": "shutdown",
    "ready": "readiness_probe",
    "live": "liveness_probe",
}
CONDITIONS = {
    "process_started": "started",
    "process_healthy": "ready",
    "process_completed": "completed",
    "process_completed_successfully": "succeeded",
    "process_log_ready": "ready",
}
MOST = 100
"""Replicas that are written down one by one."""


def draft(root: Table) -> Draft:
    """What `root` says."""
    book = Book(root)
    made = Draft(book, "processes", WORDS)
    top = Source(root, book)
    top.at("version").drop()
    top.at("ordered_shutdown").flag()  # devport always stops in order
    top.at("extends").lose("merge the files first")
    variables = {name: value or "" for name, value, _ in top.at("vars").assignments()}
    processes = top.at("processes").pairs()
    found = {name: command(source) for name, source in processes.items()}
    left_out = [name for name, one in found.items() if one.missing]
    for name in left_out:
        made.leave_out(name, processes[name], found[name].missing)
    instances = {name: _instances(name, source) for name, source in processes.items() if name not in left_out}
    made.reserve([*processes, *(instance for names in instances.values() for instance in names)])
    for name, source in processes.items():
        for number, instance in enumerate(instances.get(name, ())):
            if instance != name and instance in processes:
                made.say(f"{name}: {instance} is left out: another process is called so", source.line)
                continue
            entry = made.entry(instance, source, name if len(instances[name]) > 1 else None)
            known = {**variables, "PC_REPLICA_NUM": str(number)}
            Process(entry, source, top, known).read(found[name])
            _depends_on(made, entry, source.at("depends_on"), instances)
            for group in source.at("namespace").texts():
                if group != "default":
                    made.groups.setdefault(group, []).append(entry.name)
    return made


def _instances(name: str, source: Source) -> list[str]:
    """What its replicas are called: NAME, or NAME-0, NAME-1..."""
    wanted = source.at("replicas").count() or 1
    if wanted > MOST:
        source.at("replicas").lose(f"there are {MOST}, the most that are written down")
    number = min(wanted, MOST)
    width = len(str(number))
    return [name] if number == 1 else [f"{name}-{n:0{width}d}" for n in range(number)]


def _depends_on(made: Draft, entry: Entry, given: Source, instances: Mapping[str, list[str]]) -> None:
    for name, source in given.pairs().items():
        if source.is_there and not source.is_mapping:
            source.lose(source.problem("a mapping"))
            continue
        condition = source.at("condition")
        said = condition.text()
        if not condition.is_there and name in instances:
            entry.say(
                f"waits for the end of {quoted(name)}:"
                " depends_on without a condition means process_completed",
                source.line or given.line,
            )
        elif condition.is_there and said is None:
            continue  # named as what it is
        elif said is not None and said not in CONDITIONS:
            condition.lose(f"there is no condition {said}")
            continue
        for instance in instances.get(name, [name]):
            entry.after[made.name(instance)] = CONDITIONS.get(said or "", "completed")
