"""The experiments of this machine, as the portal lists them."""

import asyncio
from collections.abc import Sequence

from nni.records import registry
from nni.server import views


async def experiments() -> Sequence[views.Json]:
    """Return all experiments in the shape of NNI's ``experiments-info``, the oldest first."""
    known = await asyncio.to_thread(registry.Registry(registry.default_directory()).list)
    return [_info(its) for its in known]


def _info(known: registry.Known) -> views.Json:
    moments = {"startTime": known.start_time, "endTime": known.end_time}
    times = {name: "N/A" if at is None else views.milliseconds(at) for name, at in moments.items()}
    return {
        "id": known.id,
        "port": known.port,
        "status": known.status,
        "platform": known.platform,
        "experimentName": known.name or "",
        "pid": known.pid if known.is_alive else None,
        "prefixUrl": known.url_prefix,
        "logDir": str(known.directory),
        "isAlive": known.is_alive,
        **times,
    }
