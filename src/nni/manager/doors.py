"""The door that trials come in by: where the intake is, and what it is known by."""

import dataclasses
import ssl
from pathlib import Path
from typing import Protocol

from nni.manager import certificate


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
