"""Looks at everything that an experiment needs: for ``nnictl doctor``, at every start, and from then on when asked."""

import asyncio
import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from nni import errors
from nni.core import model, ports
from nni.core import spec as specs
from nni.manager import doors, ground
from nni.platforms.kubeflow import api, names, preflight, probe, secrets
from nni.server import views


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


class Doctor:
    """Keeps what was found last, so that it can be looked at while the experiment runs."""

    def __init__(
        self,
        look: Callable[[], Awaitable[Sequence[preflight.Finding]]],
        clock: ports.Clock,
        findings: Sequence[preflight.Finding],
    ) -> None:
        """Begin with what was found before the experiment was made.

        Args:
            look: Makes all checks.
            clock: Stamps the report.
            findings: Found just now.
        """
        self._look = look
        self._clock = clock
        self._turn = asyncio.Lock()
        self._findings = findings
        self._at = clock.now()
        self._looks = 0

    async def examine(self) -> views.Json:
        """Look again, and return the report; those who ask meanwhile get the same."""
        before = self._looks
        async with self._turn:
            if self._looks == before:
                try:
                    self._findings = await self._look()
                except errors.NniError as error:
                    self._findings = [preflight.failed("platform", str(error))]
                self._at = self._clock.now()
                self._looks += 1
        return self.report()

    def report(self) -> views.Json:
        """Return what was found last."""
        findings = [
            {"what": one.what, "verdict": one.verdict.value, "sentence": one.sentence} for one in self._findings
        ]
        return {"at": views.milliseconds(self._at), "findings": findings}


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
    # It names what is made for the time of the probe: no other doctor has the same.
    experiment_id = model.ExperimentId(f"doctor-{uuid.uuid4().hex[:8]}")
    try:
        finding = ground.found(spec, experiment_id, environment=environment, directory=directory, say=notices.append)
        async with finding as stand:
            findings = [preflight.warning("api_version", notice) for notice in notices]
            probing = _Probing(experiment_id, directory, port) if with_probe else None
            return findings + await _examined(stand, probing)
    except errors.NniError as error:
        return [preflight.failed("platform", str(error))]


@dataclasses.dataclass(frozen=True, slots=True)
class _Probing:
    """What a probe needs beside the ground."""

    experiment_id: model.ExperimentId
    directory: Path
    port: int
    """The portal's."""


async def _examined(stand: ground.Ground, probing: _Probing | None) -> list[preflight.Finding]:
    if not isinstance(stand, ground.KubeflowGround):
        return await look(stand)
    try:
        findings = await look(stand)
        if probing is not None and all(one.verdict is not preflight.Verdict.FAILED for one in findings):
            findings += await _probe(stand, probing)
    finally:
        stand.connection.close()
    return findings


async def look(stand: ground.Ground) -> list[preflight.Finding]:
    """Make all checks but those that need a pod."""
    findings = list(await stand.examine())
    return [*findings, await _storage(stand)] if isinstance(stand, ground.KubeflowGround) else findings


async def _storage(stand: ground.KubeflowGround) -> preflight.Finding:
    volume, file = stand.backing.volume, f"{probe.ROOT}/.doctor-{uuid.uuid4().hex[:8]}"
    try:
        await volume.make(probe.ROOT)
        await volume.put(file, b"")
        await volume.delete(file)
    except errors.VolumeError as error:
        return preflight.failed("storage", str(error))
    match stand.spec.storage:
        case specs.ManagerSpec():
            said = "Nothing is shared: pods fetch the code from the manager and send their outputs to it."
        case specs.PvcSpec(claim_name=name) if stand.backing.store is not None:
            said = f"Claim {name} is not mounted here: logs come to the manager, and a pod fetches what stays on it."
        case _:
            said = f"This machine writes on it: {stand.backing.said}."
    return preflight.ok("storage", said)


async def _probe(stand: ground.KubeflowGround, probing: _Probing) -> Sequence[preflight.Finding]:
    """Run a pod that looks back."""
    if stand.intake_url is not None:
        return [preflight.warning("intake from a pod", "It is behind nni_manager_url, which only an experiment opens.")]

    port = probing.port + 1
    door = await asyncio.to_thread(doors.of, stand, probing.directory, port)

    async def listen(listener: probe.Listener) -> asyncio.Server:
        try:
            return await asyncio.start_server(listener.answer, stand.intake_host, port, ssl=door.tls)
        except OSError as error:
            raise errors.PlatformUnavailableError(
                f"Port {port} cannot be listened on here ({error.strerror}); choose another with --port."
            ) from error

    try:
        its = probing.experiment_id
        async with secrets.lent(stand.connection, its, names.secret(its), stand.backing.pod.secret):
            return await probe.probe(
                stand.connection,
                role=stand.spec.roles[0],
                volume=stand.backing.pod,
                manager_side=stand.backing.volume if stand.backing.store is None else None,
                address=(stand.intake_address, port),
                fingerprint=door.fingerprint,
                listen=listen,
            )
    except api.Refusal as refusal:
        return [preflight.warning("probe", f"The Secret with the storage's key cannot be made: {refusal.message}")]
