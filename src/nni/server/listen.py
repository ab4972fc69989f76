"""Sockets and servers: a port is taken early, so that a port in use is the first thing that is said."""

import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from nni import errors

_LINE = 16 << 10
"""Bytes of a request's first line: any path on a volume, of up to 4 KiB, with three bytes for each."""


def bind(host: str, port: int) -> socket.socket:
    """Take a TCP port; it accepts no connection before ``serve``.

    Args:
        host: An IPv4 or IPv6 address, or a name.
        port: 0 for any free one.

    Raises:
        PortInUseError: Another program has it.
        ManagerError: The address cannot be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise errors.PortInUseError(
                f"Port {port} of {host} is in use by another program; choose another port or end that program."
            ) from error
        raise errors.ManagerError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error


@contextlib.asynccontextmanager
async def serve(app: web.Application, listener: socket.socket, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve an application on a bound socket while the context is open, by TLS or plainly, and yield the port.

    Leaving ends open streams at once, gives other requests a second, and closes the socket.
    """
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0, max_line_size=_LINE)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=tls).start()
        yield int(listener.getsockname()[1])
    finally:
        await runner.cleanup()
        listener.close()
