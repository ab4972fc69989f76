"""One HTTP connection to the intake, kept open between requests."""

import contextlib
import hashlib
import hmac
import http.client
import importlib
import socket
import urllib.parse
from typing import Any, Mapping, NamedTuple, Optional, Tuple

_ANSWER_BYTES = 65536


_OTHER_CERTIFICATE = (
    "shows a certificate that is not the one this trial was told to trust, so nothing is sent there: something else "
    "answers at that address, or the manager has lost its own"
)
_NO_SSL = (
    "is to be reached by TLS, for which this image's Python has no module ssl: use another, or set intake_tls to false"
)


class TlsError(ConnectionError):
    """There is no TLS with the intake to be had, so nothing was sent; trying again soon is of no use."""


class Request(NamedTuple):
    """One request."""

    method: str
    below: str = ""
    """Behind the path that all requests have, as a URL has it."""
    body: Optional[bytes] = None
    headers: Mapping[str, str] = {}
    limit: int = _ANSWER_BYTES
    """Bytes of the answer that are read."""


class Post:
    """Sends requests to one address.

    Args:
        url: ``http://host:port`` or ``https://host:port``.
        path: Of every request.
        token: The trial's token.
        fingerprint: sha256 of the one certificate to trust, in hexadecimal; empty for the image's authorities.
    """

    def __init__(self, url: str, path: str, token: str, fingerprint: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/") + path
        self._headers = {"Authorization": "Bearer " + token}
        self._fingerprint = fingerprint
        self._connection: Optional[http.client.HTTPConnection] = None

    def send(self, body: bytes, seconds: float) -> Tuple[int, bytes]:
        """Post a body; return status and body of the answer.

        Raises:
            OSError: There is no answer within the time, or something else than HTTP answers.
        """
        return self.request(Request("POST", body=body, headers={"Content-Type": "application/json"}), seconds)

    def request(self, request: Request, seconds: float) -> Tuple[int, bytes]:
        """Send a request that may be repeated; return status and body of the answer.

        Raises:
            OSError: There is no answer within the time, or something else than HTTP answers.
        """
        is_fresh = self._connection is None
        try:
            return self._exchange(request, seconds)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A connection that was idle may have been closed by the other side; repeating a request is harmless.
            if is_fresh or isinstance(error, socket.timeout):
                raise _as_os_error(error) from error
        try:
            return self._exchange(request, seconds)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _as_os_error(error) from error

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _exchange(self, request: Request, seconds: float) -> Tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect(seconds)
        connection = self._connection
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        headers = dict(self._headers, **request.headers)
        connection.request(request.method, self._path + request.below, body=request.body, headers=headers)
        response = connection.getresponse()
        content = response.read(request.limit)
        if not response.isclosed() or response.will_close:
            self.close()
        return response.status, content

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        if self._scheme != "https":
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        # Loaded for HTTPS alone: a Python without it can still use HTTP.
        try:
            ssl: Any = importlib.import_module("ssl")
        except ImportError as error:
            raise TlsError(_NO_SSL) from error
        context = _pinning(ssl) if self._fingerprint else ssl.create_default_context()
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=context)
        connection.connect()
        if self._fingerprint:
            self._check(connection)
        return connection

    def _check(self, connection: Any) -> None:
        """Compare the certificate before the token is sent."""
        certificate = connection.sock.getpeercert(binary_form=True) or b""
        if not hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), self._fingerprint):
            connection.close()
            raise TlsError(_OTHER_CERTIFICATE)


def _pinning(ssl: Any) -> Any:
    """Return a context that lets any certificate pass, for one that is compared as soon as it is there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _as_os_error(error: Exception) -> OSError:
    if isinstance(error, OSError):
        return error
    return ConnectionError(f"{type(error).__name__}: {error}")
