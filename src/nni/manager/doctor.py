"""Looks at everything that an experiment needs before it is started: for ``nnictl doctor``, and at every start."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nni import errors
from nni.core import spec as specs
from nni.manager import ground
from nni.platforms.kubeflow import preflight, probe


def insist(findings: Sequence[preflight.Finding], say: Callable[[str], None]) -> None:
    """Say what is doubtful, and stop at what is wrong.

    Raises:
        PlatformError: Something is wrong; all of it is in the message.
    """
    for one in findings:
        if one.verdict is preflight.Verdict.WARNING:
            say(f"{one.what}: {one.sentence}")
    wrong = [f"{one.what}: {one.sentence}" for one in findings if one.verdict is preflight.Verdict.FAILED]
    if wrong:
        raise errors.PlatformError("\n".join(wrong))


async def examine(
    spec: specs.ExperimentSpec, *, environment: Mapping[str, str], directory: Path, port: int, with_probe: bool
) -> list[preflight.Finding]:
    """Return what is right and wrong, from the kubeconfig to a pod that reaches back.

    Args:
        spec: The experiment.
        environment: Of this process.
        directory: Where the experiment's own would be made.
        port: The portal's; the probe needs the next one.
        with_probe: Whether to run a pod on the cluster.
    """
    notices: list[str] = []
    try:
        stand = await ground.find(spec, environment=environment, directory=directory, say=notices.append)
    except errors.NniError as error:
        return [preflight.failed("platform", str(error))]
    findings = [preflight.warning("api_version", notice) for notice in notices]
    findings += await stand.examine()
    if not isinstance(stand, ground.KubeflowGround):
        return findings
    try:
        findings.append(await _storage(stand))
        if with_probe and all(one.verdict is not preflight.Verdict.FAILED for one in findings):
            findings += await _probe(stand, port)
    finally:
        stand.connection.close()
    return findings


async def _storage(stand: ground.KubeflowGround) -> preflight.Finding:
    try:
        await stand.volume.make(probe.ROOT)
        await stand.volume.put(f"{probe.ROOT}/.doctor", b"")
        await stand.volume.delete(f"{probe.ROOT}/.doctor")
    except errors.VolumeError as error:
        return preflight.failed("storage", str(error))
    return preflight.ok("storage", f"This machine writes on it at {stand.root}.")


async def _probe(stand: ground.KubeflowGround, port: int) -> Sequence[preflight.Finding]:
    """Run a pod that looks back."""
    if stand.intake_url is not None:
        return [preflight.warning("intake from a pod", "It is behind nni_manager_url, which only an experiment opens.")]

    async def listen(listener: probe.Listener) -> asyncio.Server:
        try:
            return await asyncio.start_server(listener.answer, stand.intake_host, port + 1)
        except OSError as error:
            raise errors.PlatformUnavailableError(
                f"Port {port + 1} cannot be listened on here ({error.strerror}); choose another with --port."
            ) from error

    return await probe.probe(
        stand.connection,
        role=stand.spec.roles[0],
        volume=stand.pod_volume,
        manager_side=stand.volume,
        address=(stand.intake_address, port + 1),
        listen=listen,
    )
