"""`after` and `before`: whom an entry of devport.yaml waits for, and who waits for it.

Owns the spelling of a reference (`db`, `db@started`, `devenv:processes:db`) and what it means where no
condition is given. Cycles are `graph`'s.
"""

from collections.abc import Sequence
from typing import NamedTuple, get_args

from devport.errors import nearest
from devport.model import Condition, Dependency, Service
from devport.project import schema
from devport.project.schema import NAME, Kind
from devport.project.yaml_nodes import Node, Refusal, unexpected

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
_SERVICE, _TASK = "devenv:processes:", "devenv:tasks:"


class Reference(NamedTuple):
    """Another entry, as it is named on `line`; `task` None: it does not say which of the two it is."""

    name: str
    condition: Condition | None
    line: int
    task: bool | None = None


class Wishes(NamedTuple):
    """What one entry says of its place among the others."""

    name: str
    after: tuple[Reference, ...] = ()
    before: tuple[Reference, ...] = ()


def reference(node: Node) -> Reference:
    """`NAME`, `NAME@CONDITION`, either with `devenv:processes:` or `devenv:tasks:` in front."""
    word, at, condition = schema.scalar(node).text.partition("@")
    task = None
    for prefix, is_task in ((_SERVICE, False), (_TASK, True)):
        if word.startswith(prefix):
            word, task = word.removeprefix(prefix), is_task
    if not NAME.fullmatch(word) or "@" in condition:
        raise unexpected(node, "a name, or NAME@CONDITION")
    if at and condition not in CONDITIONS:
        which = ", ".join(f"@{one}" for one in CONDITIONS)
        close = nearest(condition, CONDITIONS) or f" (there is {which})"
        raise Refusal(node.line, f"unknown condition @{condition}{close}")
    return Reference(word, condition or None, node.line, task)  # type: ignore[arg-type]


REFERENCE = Kind(
    reference,
    {
        "type": "string",
        "pattern": f"^(devenv:(processes|tasks):)?{NAME.pattern}(@({'|'.join(CONDITIONS)}))?$",
    },
)
REFERENCES = schema.one_or_more(REFERENCE)


def connect(services: Sequence[Service], wishes: Sequence[Wishes]) -> tuple[Service, ...]:
    """`services`, each with what it comes after; Refusal for a name that there is not.

    Ready is no state of a task, so `@ready` means there that it has succeeded.
    """
    known = {service.entry: service for service in services}
    after: dict[str, dict[Dependency, None]] = {}
    for one in wishes:
        for key, references in (("after", one.after), ("before", one.before)):
            for found in references:
                try:
                    target = _find(found, known)
                except Refusal as refusal:
                    raise refusal.under(key).under(one.name) from None
                first, then = (target, known[one.name]) if key == "after" else (known[one.name], target)
                waited = Dependency(first.entry, _condition(found.condition, first))
                after.setdefault(then.entry, {})[waited] = None
    return tuple(
        service._replace(policy=service.policy._replace(after=tuple(after[service.entry])))
        if service.entry in after
        else service
        for service in services
    )


def _condition(said: Condition | None, first: Service) -> Condition:
    if first.policy.task and said in {None, "ready"}:
        return "succeeded"
    return said or "ready"


def _find(found: Reference, known: dict[str, Service]) -> Service:
    target = known.get(found.name)
    if target and found.task in {None, target.policy.task}:
        return target
    what = {None: "service or task", False: "service", True: "task"}[found.task]
    if target:
        other = f" ({found.name} is a {'service' if found.task else 'task'})"
        raise Refusal(found.line, f"no {what} is called {found.name}{other}")
    hint = nearest(found.name, [name for name, one in known.items() if found.task in {None, one.policy.task}])
    raise Refusal(found.line, f"no {what} is called {found.name}{hint}")
