"""Lifecycle hooks: commands that run inside of a container after its start and before its end."""

import asyncio
import dataclasses
import os

from nni.sandbox import schema
from nni.sandbox.node import launching, stopping


async def run(
    launcher: launching.Launcher, handler: schema.Object, order: launching.Order, process: launching.Process
) -> str:  # fmt: skip
    """Run a hook to its end or to that of its container; return why it has failed, or an empty string.

    Args:
        launcher: Starts commands.
        handler: ``{"exec": ...}`` or ``{"sleep": ...}``.
        order: The command of an ``exec`` hook, with the container's environment.
        process: The container's main process.
    """
    if "sleep" in handler:
        await stopping.first(asyncio.sleep(handler["sleep"]["seconds"]), stopping.settled(process.exited))
        return ""
    if "exec" not in handler:
        return f"the sandbox runs exec and sleep hooks, and none by {', '.join(handler) or 'nothing'}"
    return await _execute(launcher, order, process)


async def _execute(launcher: launching.Launcher, order: launching.Order, process: launching.Process) -> str:
    output = os.open(os.devnull, os.O_WRONLY)
    words = " ".join(order.command)
    try:
        guest = await launcher.start(dataclasses.replace(order, mounts=[], memory=0), output, process)
    except launching.StartError as error:
        return f"command '{words}' could not be started: {error}"
    finally:
        os.close(output)
    try:
        await stopping.first(stopping.settled(guest.exited), stopping.settled(process.exited))
    finally:
        if not guest.exited.done():
            await guest.kill()
    if not guest.exited.done():
        return f"command '{words}' ended with its container"
    code = guest.exited.result().code
    return f"command '{words}' exited with {code}" if code else ""
