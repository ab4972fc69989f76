"""Freezes the platform: what a job is, and where it runs."""

import math
import re
import typing
from typing import Any

from nni.config import operators, pods, service, storage_rules
from nni.config.view import View
from nni.core import nearest, plain, spec, units

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_API_VERSION = re.compile(r"v[1-9]\d*((alpha|beta)[1-9]\d*)?")


def freeze(top: View) -> spec.PlatformSpec | None:
    """Return the platform of an experiment; what is wrong with it is reported to the view.

    The result is of use only when nothing was reported.
    """
    config: object = top.needed(
        "training_service",
        "name a platform: ExperimentConfig('kubeflow') in Python, trainingService: {platform: kubeflow} in YAML",
    )
    match config:
        case None:
            return None
        case list():
            top.wrong("training_service", "lists several platforms, and an experiment runs on one; keep one of them")
            return None
        case service.KubeflowConfig() | service.LocalConfig():
            view = top.child("training_service")
        case service.TrainingServiceConfig():
            _unknown_platform(top, config)
            return None
        case _:
            top.wrong(
                "training_service",
                f"{plain.shown(config)} is not a KubeflowConfig or LocalConfig, or a mapping with a platform",
            )
            return None
    assert view is not None  # noqa: S101 the two cases that come here hold a configuration
    own, platform = type(config).platform, view.get("platform")
    if platform != own:
        view.wrong("platform", f"is {platform!r}, but a {type(config).__name__} is for {own!r}")
    return _kubeflow(top, view) if isinstance(config, service.KubeflowConfig) else _local(top, view)


def _unknown_platform(top: View, config: service.TrainingServiceConfig) -> None:
    path, name = f"{top.at('training_service')}.platform", typing.cast(str | None, config.platform)
    use = nearest.either(sorted(service.PLATFORMS))
    top.report(path, f"is not set; use {use}" if name is None else service.no_platform(str(name)))


def _local(top: View, view: View) -> spec.LocalSpec:
    for name in ("operator", "api_version"):
        top.refused(name, "is for the platform 'kubeflow'; remove it")
    for holder, name in ((_holder(top, view, "trial_gpu_number"), "trial_gpu_number"), (view, "gpu_indices")):
        holder.refused(name, "has no effect in this version; remove it, and trials see all GPUs of this machine")
    view.checked("max_trial_number_per_gpu", lambda number: number == 1, "has no effect in this version; remove it")
    holder = _holder(top, view, "trial_command")
    command = holder.needed("trial_command", "write what a trial runs, such as 'python3 model.py'")
    holder.checked("trial_command", str.strip, "is no command; write for example 'python3 model.py'")
    directory = _holder(top, view, "trial_code_directory").directory("trial_code_directory", may_be_gone=top.is_begun)
    role = spec.RoleSpec(name="worker", replicas=1, command=command or "", code_directory=directory or "")
    return spec.LocalSpec(roles=(role,), code_limit_mib=_code_limit(view))


def _kubeflow(top: View, view: View) -> spec.KubeflowSpec:
    _holder(top, view, "trial_gpu_number").refused(
        "trial_gpu_number",
        f"has no meaning on kubeflow; set the GPUs of each role, as in {view.at('worker')}",
    )
    namespace = view.checked("namespace", _NAMESPACE.fullmatch, "is not the name of a Kubernetes namespace")
    version = _agreed(top, view, "api_version")
    if version is not None and _API_VERSION.fullmatch(version) is None:
        _holder(top, view, "api_version").wrong(
            "api_version", f"{version!r} is not an API version; write for example 'v1'"
        )
    operator = _operator(top, view)
    return spec.KubeflowSpec(
        operator=operator or "",
        api_version=version or "",
        namespace=namespace or "",
        roles=_roles(top, view, operator),
        storage=storage_rules.freeze(view),
        code_limit_mib=_code_limit(view),
        context=view.get("kube_context"),
        manager_url=view.checked(
            "nni_manager_url", _is_url, "is not a URL; write for example 'https://nni.example.org'"
        ),
        intake_tls=_intake_tls(view),
        queue=view.checked("queue_name", pods.is_name, pods.NO_NAME),
        queue_priority=view.checked("queue_priority_class", pods.is_name, pods.NO_NAME),
        start_grace_seconds=view.parsed("start_grace", units.parse_duration),
    )


def _intake_tls(view: View) -> bool | None:
    wanted: bool | None = view.get("intake_tls")
    if wanted and view.get("nni_manager_url") is not None:
        view.wrong(
            "intake_tls", "has no meaning beside nni_manager_url, whose proxy speaks TLS for the manager; remove it"
        )
    return wanted


def _code_limit(view: View) -> int:
    return view.parsed("trial_code_limit", units.parse_size) or spec.CODE_LIMIT_MIB


def _operator(top: View, view: View) -> str | None:
    """Return the operator's name; None after reporting what is wrong with it."""
    name: str | None = _agreed(top, view, "operator")
    if any(one.has_bad("operator") for one in (top, view)):
        return None
    holder = top if view.get("operator") is None and top.get("operator") is not None else view
    if name is None:
        holder.needed("operator", "write for example 'pytorch-operator'")
        return None
    operator = operators.OPERATORS.get(name)
    if operator is None:
        holder.wrong("operator", f"{name!r} is not an operator; {nearest.advice(name, list(operators.OPERATORS))}")
        return None
    return name


def _roles(top: View, view: View, name: str | None) -> tuple[spec.RoleSpec, ...]:
    """Return the roles in the order of the operator; all that there can be are right where there is none."""
    operator = None if name is None else operators.OPERATORS[name]
    known = operators.ROLES if operator is None else operator.roles
    if all(view.get(role) is None for role in operators.ROLES) and not view.has_bad(*operators.ROLES):
        view.report(view.path, f"has no role; set {nearest.either(known)}, as {view.at('worker')}")
    for role in operators.ROLES:
        if view.get(role) is not None and role not in known:
            view.wrong(role, f"is not a role of {name!r}; use {nearest.either(known)}")
    order = sorted(operators.ROLES, key=lambda role: (role not in known, known.index(role) if role in known else 0))
    frozen = tuple(_role(top, view, role, operator) for role in order)
    return tuple(role for role in frozen if role is not None)


def _role(top: View, view: View, name: str, operator: operators.Operator | None) -> spec.RoleSpec | None:
    role = view.child(name)
    if role is None:
        return None
    for field in operator.unsupported if operator is not None else ():
        role.refused(field, "has no place in the jobs of this operator; remove it")
    if operator is not None and name in operator.single:
        role.checked("replicas", lambda number: number == 1, f"is not 1, and a job has exactly one {name}")
    else:
        role.checked("replicas", lambda number: number > 0, "is not above 0")
    command = _first(role.get("command"), view.get("trial_command"), top.get("trial_command"))
    is_bad = role.has_bad("command") or view.has_bad("trial_command") or top.has_bad("trial_command")
    if not is_bad and not (command or "").strip():
        role.wrong("command", f"is not set; write what each {name} runs, such as 'python3 model.py'")
    own = role if role.get("code_directory") is not None else _holder(top, view, "trial_code_directory")
    field = "code_directory" if own is role else "trial_code_directory"
    return spec.RoleSpec(
        name=name,
        replicas=role.get("replicas") or 0,
        command=command or "",
        code_directory=own.directory(field, may_be_gone=top.is_begun) or "",
        image=role.checked("docker_image", _is_image, "is not the name of a container image") or "",
        cpus=role.checked(
            "cpu_number", lambda number: 0 < number < math.inf, "is not above 0; write for example 1 or 0.5"
        ),
        memory_mib=role.parsed("memory_size", units.parse_size),
        gpus=role.checked("gpu_number", lambda number: number >= 0, "is below 0") or 0,
        gpu_resource=view.checked("gpu_resource", pods.is_qualified, pods.NOT_QUALIFIED) or "nvidia.com/gpu",
        pod=pods.freeze(role),
    )


def manager_address(top: View) -> str | None:
    """Return the address that pods call back, where one is set; None on the local platform."""
    if not isinstance(top.get("training_service"), service.KubeflowConfig):
        return None
    view = top.child("training_service")
    assert view is not None  # noqa: S101 a KubeflowConfig is a configuration
    address: str | None = _holder(top, view, "nni_manager_ip").checked(
        "nni_manager_ip",
        storage_rules.is_host,
        "is not a name or an address; write for example '10.0.0.5', without http:// and port",
    )
    return address


def keeping(top: View) -> dict[str, Any]:
    """Return the fields of an experiment that say how often trials are tried again and how long their jobs stay.

    A field that is not set is left out.
    """
    if not isinstance(top.get("training_service"), service.KubeflowConfig):
        return {}
    view = top.child("training_service")
    assert view is not None  # noqa: S101 there is a configuration
    found = {
        "infrastructure_retries": view.checked("infrastructure_retries", lambda number: number >= 0, "is below 0"),
        "keep_finished_seconds": view.parsed("keep_finished_jobs", units.parse_duration),
        "keep_failed_jobs": view.get("keep_failed_jobs"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _holder(top: View, view: View, name: str) -> View:
    """Return the view that holds a field which either may hold: the experiment's when neither does."""
    return top if view.get(name) is None and not view.has_bad(name) else view


def _agreed(top: View, view: View, name: str) -> Any:
    """Return a field that may be set in either place, or in both alike; None when unset or after reporting it."""
    outer, inner = top.get(name), view.get(name)
    if outer is None or inner is None or outer == inner:
        return outer if inner is None else inner
    view.wrong(name, f"is {inner!r}, but {top.at(name)} is {outer!r}; keep one of them")
    view.mark_bad(name)
    return None


def _first(*values: Any) -> Any:
    return next((value for value in values if value), None)


def _is_url(url: str) -> bool:
    return re.fullmatch(r"https?://[^\s/:]+(:\d+)?(/\S*)?", url) is not None


def _is_image(image: str) -> bool:
    return bool(image) and not re.search(r"\s", image)
