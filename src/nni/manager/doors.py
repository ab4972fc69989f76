"""The door that trials come in by: where the intake is, and what it is known by."""

import asyncio
import dataclasses
import ipaddress
import os
import socket
import ssl
import urllib.parse
from pathlib import Path
from typing import Protocol

from nni import errors
from nni.manager import certificate
from nni.platforms.kubeflow import client

LOOPBACK = "127.0.0.1"
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 pods come from anywhere; each needs its token


class Place(Protocol):
    """What is known of the way from trials to this machine."""

    @property
    def intake_address(self) -> str:
        """The address under which trials reach the intake."""
        ...

    @property
    def intake_url(self) -> str | None:
        """Where trials report to, when that is not the intake's own address."""
        ...

    @property
    def is_encrypted(self) -> bool:
        """Whether trials speak TLS to the intake itself."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """A ``Place`` of which nothing else is known."""

    intake_address: str
    intake_url: str | None
    is_encrypted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Door:
    """Where trials report to."""

    url: str
    fingerprint: str | None = None
    """sha256 of the certificate that they find there; None for whatever their image trusts, or for none."""
    tls: ssl.SSLContext | None = None
    """What the intake speaks TLS with; None where it speaks plainly."""


def of(place: Place, directory: Path, port: int) -> Door:
    """Return the door of an experiment; its certificate is made on first use.

    Args:
        place: How trials reach this machine.
        directory: The experiment's own.
        port: The intake's.

    Raises:
        ManagerError: The certificate cannot be used.
    """
    if not place.is_encrypted:
        return Door(place.intake_url or f"http://{place.intake_address}:{port}")
    own = certificate.kept(directory)
    return Door(place.intake_url or f"https://{place.intake_address}:{port}", own.fingerprint, own.context())


async def reach(connection: client.Client, address: str | None) -> tuple[str, str]:
    """Return the address that an intake listens on, and the one under which pods reach it.

    Args:
        connection: The cluster.
        address: Where pods reach this machine; None to find it out.

    Raises:
        PlatformError: It cannot be found out.
    """
    host = urllib.parse.urlsplit(connection.server).hostname or ""
    is_near = _is_loopback(host)
    if address is None:
        address = LOOPBACK if is_near else await asyncio.to_thread(_address_towards, host)
    return LOOPBACK if is_near else ALL_ADDRESSES, address


def is_encrypted(intake_host: str, *, tls: bool | None, url: str | None) -> bool:
    """Return whether pods speak TLS to an intake: not on this machine alone, and not to a proxy before it.

    Args:
        intake_host: The address that it listens on.
        tls: What the user wishes, if anything.
        url: The proxy's.
    """
    return tls if tls is not None else intake_host != LOOPBACK and url is None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address_towards(host: str) -> str:
    """Return this machine's address on the way to a host: where pods are likely to reach it."""
    try:
        ((family, _, _, _, target), *_) = socket.getaddrinfo(host, 443, type=socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            own: str = probe.getsockname()[0]
    except OSError as error:
        raise errors.PlatformError(
            f"No way to the API server's host {host} is known ({os.strerror(error.errno or 0)}), so it is not known "
            "under which address pods reach this machine; set nni_manager_ip."
        ) from error
    return f"[{own}]" if ":" in own else own
