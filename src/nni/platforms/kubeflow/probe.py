"""A pod that looks back: whether pods reach the intake, and whether they see the volume that the manager sees."""

import asyncio
import functools
import secrets
from collections.abc import Awaitable, Callable, Mapping

from nni import errors
from nni.core import ports, spec
from nni.platforms.kubeflow import api, client, names, pods, preflight, reasons

SECONDS = 120.0
"""How long the pod may take, the pull of its image included."""
STUCK_SECONDS = 15.0
"""How long something may keep the pod from starting: a kubelet tries an image again, a scheduler a claim."""
PAUSE_SECONDS = 0.5
ROOT = "nni"

_SCRIPT = """
import hashlib, os, socket, sys
host, port, path, text = (os.environ["PROBE_" + name] for name in ("HOST", "PORT", "FILE", "TEXT"))
try:
    with open(path, "w") as file:
        file.write(text)
    if not os.environ["PROBE_KEPT"]:
        os.remove(path)
except OSError as error:
    sys.exit("volume: user %d cannot write %s: %s" % (os.getuid(), path, error))
try:
    with socket.create_connection((host, int(port)), 10) as there:
        if os.environ["PROBE_PIN"]:
            try:
                import ssl
            except ImportError:
                sys.exit("intake: it is to be reached by TLS, for which this image's Python has no module ssl")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            there = context.wrap_socket(there)
            if hashlib.sha256(there.getpeercert(True) or b"").hexdigest() != os.environ["PROBE_PIN"]:
                sys.exit("intake: something between here and %s port %s shows a certificate of its own" % (host, port))
        there.sendall(text.encode())
        if there.recv(100) != text.encode()[::-1]:
            sys.exit("intake: something else answers at %s port %s" % (host, port))
except OSError as error:
    sys.exit("intake: %s port %s cannot be reached: %s" % (host, port, error))
"""


_DIFFERENT = preflight.failed(
    "storage from a pod",
    "A pod wrote on the volume, and the manager does not see it: they have different storage mounted.",
)


class Listener:
    """Answers the probe on the intake's port."""

    def __init__(self, text: str) -> None:
        """Take the text that the probe sends."""
        self._text = text.encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send the text back in the opposite order, and only to whoever knows it."""
        try:
            async with asyncio.timeout(10):
                received = await reader.readexactly(len(self._text))
                if secrets.compare_digest(received, self._text):
                    writer.write(received[::-1])
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()


async def probe(
    connection: client.Client,
    *,
    role: spec.RoleSpec,
    volume: pods.Volume,
    manager_side: ports.Volume | None,
    address: tuple[str, int],
    fingerprint: str | None,
    listen: Callable[[Listener], Awaitable[asyncio.Server]],
) -> list[preflight.Finding]:
    """Run a pod of a role's image that reaches back, and say what came of it.

    Args:
        connection: The namespace.
        role: Whose image and resources the pod gets.
        volume: The pods' side of the storage volume.
        manager_side: The manager's; None where pods share none with it.
        address: Where pods reach the intake.
        fingerprint: sha256 of the certificate that it has; None where it speaks no TLS.
        listen: Opens the intake's port.
    """
    text = secrets.token_hex(16)
    name = f"nni-probe-{text[:8]}"
    # A volume that the manager does not have may have no directory yet.
    file = f".probe-{text[:8]}" if manager_side is None else f"{ROOT}/.probe-{text[:8]}"
    if manager_side is not None:
        await manager_side.make(ROOT)
    try:
        async with await listen(Listener(text)):
            host, port = address
            given = {"HOST": host, "PORT": str(port), "FILE": f"{volume.mount['mountPath']}/{file}", "TEXT": text}
            given["KEPT"] = "" if manager_side is None else "1"
            given["PIN"] = fingerprint or ""
            await connection.run(functools.partial(connection.create_pod, _pod(name, role, volume, given)))
            ended = await _ended(connection, name)
        found = _read(ended)
        if not found and manager_side is not None and await manager_side.read(file) != text.encode():
            found = [_DIFFERENT]
    except api.Refusal as refusal:
        return [preflight.warning("probe", f"No probe pod can be made: {refusal.message}")]
    except errors.PlatformUnavailableError as error:
        return [preflight.warning("probe", str(error))]
    finally:
        await _remove(connection, name)
        if manager_side is not None:
            await manager_side.delete(file)
    wrote = "its volume" if manager_side is None else "the volume what the manager reads"
    return found or [
        preflight.ok("storage from a pod", f"A pod writes on {wrote}."),
        preflight.ok(
            "intake from a pod", f"A pod reaches {address[0]} port {address[1]}{' by TLS' if fingerprint else ''}."
        ),
    ]


def _pod(name: str, role: spec.RoleSpec, volume: pods.Volume, given: Mapping[str, str]) -> api.Object:
    container = {
        "name": "probe",
        "image": role.image,
        "command": ["python3", "-c", _SCRIPT],
        "env": [{"name": f"PROBE_{variable}", "value": value} for variable, value in given.items()],
        "volumeMounts": [dict(volume.mount)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **(pods.RESTRICTED_CONTAINER if volume.runs_restricted else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {names.MANAGED_BY: names.MANAGER}},
        "spec": {
            **role.pod.fields,
            **(pods.RESTRICTED_POD if volume.runs_restricted else {}),
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [dict(volume.volume)],
        },
    }


async def _ended(connection: client.Client, name: str) -> api.Object:
    """Return the pod once it has ended, or as it is when its time is up."""
    loop = asyncio.get_running_loop()
    end, stuck_at = loop.time() + SECONDS, None
    while True:
        pod = await connection.run(functools.partial(connection.get_pod, name))
        now = loop.time()
        stuck_at = (stuck_at or now) if reasons.of_pod(pod) else None
        is_stuck = stuck_at is not None and now > stuck_at + STUCK_SECONDS
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or is_stuck or now > end:
            return pod
        # One pod, once: a watch would be more to open than this is to ask.
        await asyncio.sleep(PAUSE_SECONDS)


def _read(pod: api.Object) -> list[preflight.Finding]:
    """Return what is wrong according to the probe's pod; nothing when all is right."""
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded":
        return []
    for one in status.get("containerStatuses", []):
        message = (one.get("state", {}).get("terminated") or {}).get("message", "").strip()
        if message.startswith("volume:"):
            return [preflight.failed("storage from a pod", message)]
        if message.startswith("intake:"):
            advice = "open the port in the firewall, or set nni_manager_ip or nni_manager_url"
            return [preflight.failed("intake from a pod", f"{message}; {advice}")]
        if message:
            return [preflight.failed("probe", f"The probe pod failed: {message.splitlines()[-1]}")]
    reason = reasons.of_pod(pod)
    why = reason.sentence if reason else f"it is {status.get('phase', 'unknown')} after {SECONDS:g} s"
    return [preflight.warning("probe", f"The probe pod did not run: {why}")]


async def _remove(connection: client.Client, name: str) -> None:
    try:
        await connection.run(functools.partial(connection.delete_pod, name))
    except (api.Refusal, errors.PlatformUnavailableError):
        # It was never made, or cannot be reached any more: it ends by itself.
        return
