"""Manifests for Kubernetes: a Secret and a Deployment for each service, a Service where it has a web port.

A web port is one that is declared (`ports:`), one that a probe of the service asks, or the PORT of an entry
that is called web; any other service is a worker. A task is a Job. The image is called APP and is not known
here; it holds the project in the folder where it is on this machine. What is waited for (`after`) has no
counterpart: a container that fails is started again until it works.

How Kubernetes reads it: in `command` and the command of a probe `$(NAME)` is replaced and `$$` is a dollar,
so every dollar of a text is doubled; in a probe only variables of `env` are, not those of `envFrom`, so that
values stand there. What comes from a Secret, and commands before a stop, are taken as they are. Names are DNS
labels (RFC 1123; of a Service RFC 1035: a letter first).
"""

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from devport.encoding import printable
from devport.export.documents import (
    block,
    check_text,
    grace,
    live_of,
    local_names,
    notes,
    ready_of,
    whole,
    words,
)
from devport.export.lost import lost, refuse, says_restart
from devport.export.plan import PRIVATE, File, Plan, Unit, UnitError, fill
from devport.model import Probe

NAME = "kubernetes.yaml"
TEMPLATE = """\
# {{app}} for Kubernetes, written by `devport export kubernetes`; for kubectl apply -f
# The image {{image}} has to hold the project in {{root}}.
{{notes}}
{{documents}}
"""
VALUES = """\
---
apiVersion: v1
kind: Secret
{{metadata}}
type: Opaque
{{values}}
"""
DEPLOYMENT = """\
---
apiVersion: apps/v1
kind: Deployment
{{metadata}}
spec:
{{replicas}}
{{selector}}
  template:
{{pod_metadata}}
    spec:
{{containers}}
{{pod}}
"""
JOB = """\
---
apiVersion: batch/v1
kind: Job
{{metadata}}
spec:
  backoffLimit: 0
  template:
{{pod_metadata}}
    spec:
{{containers}}
{{pod}}
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
{{metadata}}
spec:
{{selector}}
{{ports}}
"""
TAKES = frozenset({"shell", "template-dir"})
TEMPLATES = {
    NAME: TEMPLATE,
    "kubernetes-secret.yaml": VALUES,
    "kubernetes-deployment.yaml": DEPLOYMENT,
    "kubernetes-job.yaml": JOB,
    "kubernetes-service.yaml": SERVICE,
}
PATIENCE = 3600
"""Seconds in which a service may become ready before it is killed, where nothing says how many."""
_LONGEST, _LONGEST_PORT_NAME = 63, 15
_VARIABLE = re.compile("[-._a-zA-Z][-._a-zA-Z0-9]*")
_KEPT = {"ready", "live", "status", "stop.timeout", "stop.exec"}
Json = dict[str, Any]


def render(plan: Plan) -> tuple[File, ...]:
    """`kubernetes.yaml`: several documents."""
    said: list[str] = []
    documents: list[str] = []
    names = _names(plan)
    for unit in plan.units:
        check_text(unit, "kubernetes")
        refuse(unit, "kubernetes")
        said += [*_losses(unit), *local_names(plan, unit)]
        documents += _documents(plan, unit, names[unit.name])
    values = {
        "app": plan.app,
        "image": image(plan.app),
        "root": notes([plan.root]).removeprefix("# "),
        "notes": notes(said),
        "documents": "".join(documents).rstrip("\n"),
    }
    return (File(NAME, fill(plan, NAME, TEMPLATE, values), PRIVATE),)


def image(app: str) -> str:
    """What the image of `app` is called."""
    return re.sub("[^a-z0-9]+", "-", app.lower()).strip("-")


def escaped(words: Sequence[str]) -> list[str]:
    """`words` where `$(NAME)` is replaced."""
    return [word.replace("$", "$$") for word in words]


def _names(plan: Plan) -> dict[str, str]:
    """A DNS label for each unit, none twice, a letter first."""
    found: dict[str, str] = {}
    for unit in plan.units:
        name = label(f"{plan.app}-{unit.name}")
        if name in found.values():
            digest = hashlib.sha256(unit.name.encode()).hexdigest()[:8]
            name = f"{name[: _LONGEST - 9].rstrip('-')}-{digest}"
        found[unit.name] = name
    return found


def label(text: str) -> str:
    """`text` as a DNS label that begins with a letter; a long one ends in a part of its checksum."""
    name = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"app-{name}".rstrip("-")
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _documents(plan: Plan, unit: Unit, name: str) -> list[str]:
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": image(plan.app),
        "app.kubernetes.io/managed-by": "devport",
    }
    selector = {key: labels[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/part-of")}
    shared = {
        "app": plan.app,
        "metadata": block({"metadata": {"name": name, "labels": labels}}),
        "pod_metadata": block({"metadata": {"labels": labels}}, 2),
        **_pod(plan, unit, name),
    }
    values = {**shared, "values": block({"stringData": _values(unit)})}
    made = [fill(plan, "kubernetes-secret.yaml", VALUES, values)]
    if unit.service.policy.task:
        return [*made, fill(plan, "kubernetes-job.yaml", JOB, shared)]
    values = {
        **shared,
        "replicas": block({"replicas": int(unit.service.enable != "false")}, 1),
        "selector": block({"selector": {"matchLabels": selector}}, 1),
    }
    made.append(fill(plan, "kubernetes-deployment.yaml", DEPLOYMENT, values))
    if ports := web_ports(unit):
        exposed = [{"name": key, "port": port, "targetPort": key} for key, port in ports.items()]
        values = {
            **shared,
            "selector": block({"selector": selector}, 1),
            "ports": block({"ports": exposed}, 1),
        }
        made.append(fill(plan, "kubernetes-service.yaml", SERVICE, values))
    return made


def web_ports(unit: Unit) -> dict[str, int]:
    """The ports that other pods connect to, by a name that Kubernetes takes."""
    asked = {probe.port for probe in (ready_of(unit), live_of(unit)) if probe is not None}
    is_declared = bool(unit.service.ports) or len(unit.ports) > 1
    if not (is_declared or unit.service.entry == "web" or asked & {*unit.ports.values()}):
        return {}
    found: dict[str, int] = {}
    for key, port in unit.ports.items():
        name = re.sub("[^a-z0-9]+", "-", key.lower()).strip("-")
        is_name = len(name) <= _LONGEST_PORT_NAME and re.search("[a-z]", name) and name not in found
        if port not in found.values():
            found[name if is_name else f"port-{port}"] = port
    return found


def _values(unit: Unit) -> dict[str, str]:
    for name in unit.environment:
        if not _VARIABLE.fullmatch(name):
            raise UnitError(unit.name, "kubernetes", f"no variable can be called {printable(name)} there")
    return dict(unit.environment)


def _pod(plan: Plan, unit: Unit, name: str) -> dict[str, str]:
    """For templates: `containers`, each key of the one there is, and `pod`, what else a pod has."""
    service = unit.service
    container: Json = {
        "name": name,
        "image": image(plan.app),
        "command": _command(unit),
        "workingDir": unit.cwd,
        "envFrom": [{"secretRef": {"name": name}}],
        "ports": [{"name": key, "containerPort": port} for key, port in web_ports(unit).items()],
        "tty": bool(service.pty),
        **dict.fromkeys(("readinessProbe", "livenessProbe", "startupProbe")),
        **({} if service.policy.task else _probes(unit)),
        "lifecycle": None,
    }
    if service.stop.command:
        container["lifecycle"] = {"preStop": {"exec": {"command": list(service.stop.command)}}}
    empty: tuple[object, ...] = ([], None, False)
    given = {key: value for key, value in container.items() if value not in empty}
    pod = {
        "restartPolicy": "Never" if service.policy.task else "Always",
        "terminationGracePeriodSeconds": whole(grace(unit)),
        "enableServiceLinks": False,  # it would set variables called WEB_PORT
    }
    return {
        **words(container, 5, empty),
        "containers": block({"containers": [given]}, 3),
        "pod": block(pod, 3),
    }


def _command(unit: Unit) -> list[str]:
    """Its words; a value that came from a variable is left in the Secret, which the kubelet has it from."""
    if not unit.parts:
        return escaped(unit.argv)
    return [
        "".join(f"$({name})" if name else text.replace("$", "$$") for text, name in word)
        for word in unit.parts
    ]


def _probes(unit: Unit) -> Json:
    ready, live = ready_of(unit), live_of(unit)
    asked, alive = _asked(unit, ready), _asked(unit, live)
    found: Json = {}
    if asked and ready is not None:
        found["readinessProbe"] = {**asked, **_times(ready), "successThreshold": ready.success_threshold}
    if alive and live is not None:
        found["livenessProbe"] = {**alive, **_times(live)}
    if asked and ready is not None and (alive or ready.timeout is not None):
        # Until it has been ready once, nobody asks whether it still works.
        patience = math.ceil(ready.timeout) if ready.timeout is not None else PATIENCE
        times = {**_times(ready), "periodSeconds": 1, "failureThreshold": max(1, patience)}
        found["startupProbe"] = {**asked, **times}
    return found


def _asked(unit: Unit, probe: Probe | None) -> Json | None:
    """What the kubelet does; None for what it cannot do."""
    if probe is None:
        return None
    if probe.kind == "exec":
        return {"exec": {"command": escaped(probe.command)}}
    if probe.kind in {"http", "tcp"} and probe.port in unit.ports.values():
        if probe.kind == "tcp":
            return {"tcpSocket": {"port": probe.port}}
        return {"httpGet": {"path": probe.path, "port": probe.port, "scheme": probe.scheme.upper()}}
    return None


def _times(probe: Probe) -> Json:
    found = {
        "periodSeconds": 10 if probe.automatic else whole(probe.period),
        "timeoutSeconds": whole(probe.probe_timeout),
        "failureThreshold": probe.failure_threshold,
    }
    return {"initialDelaySeconds": whole(probe.initial_delay), **found} if probe.initial_delay else found


def _losses(unit: Unit) -> list[str]:
    policy = unit.service.policy
    gone = list(lost(unit, _KEPT))
    for key, probe in (("ready", ready_of(unit)), ("live", live_of(unit))):
        if probe is not None and _asked(unit, probe) is None:
            gone.append(f"{key}.{probe.kind}")
        elif probe is not None and probe.statuses:
            gone.append(f"{key}.http.get.status")
    if not policy.task and unit.restart.on != "always" and says_restart(unit):
        gone.append(f"restart: {unit.restart.on.replace('_', '-')}")
    return [f"{unit.name}: not carried over: {', '.join(dict.fromkeys(gone))}"] if gone else []
