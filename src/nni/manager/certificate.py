"""The intake's certificate: signed by nobody but itself, and known to trials by its sha256.

Certificate and key are made once and stay in the experiment's directory: trials that run know no other, whatever
becomes of the manager meanwhile.
"""

import dataclasses
import datetime as dt
import hashlib
import os
import ssl
from pathlib import Path

from nni import errors

FILE = "intake.pem"
_LIFETIME = dt.timedelta(days=3650)
"""Nobody looks at it: what counts is that it is this very certificate."""
_SKEW = dt.timedelta(days=1)
_BEGIN = "-----BEGIN CERTIFICATE-----"


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, in one file of mode 0600."""

    path: Path
    fingerprint: str
    """sha256 of the certificate, in hexadecimal; no secret."""

    def context(self) -> ssl.SSLContext:
        """Return what a server speaks TLS with.

        Raises:
            ManagerError: The file does not hold a certificate and its key.
        """
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            made.load_cert_chain(self.path)
        except OSError as error:
            raise _damaged(self.path) from error
        return made


def kept(directory: Path) -> Certificate:
    """Return the certificate of an experiment, made on first use.

    Args:
        directory: The experiment's own.

    Raises:
        ManagerError: What is there cannot be used.
    """
    path = directory / FILE
    try:
        if not path.exists():
            _write(path, _make())
        encoded = path.read_text(encoding="ascii")
        certificate = ssl.PEM_cert_to_DER_cert(encoded[encoded.index(_BEGIN) :])
    except ValueError as error:
        raise _damaged(path) from error
    except OSError as error:
        raise errors.ManagerError(f"The intake's certificate {path} cannot be kept: {error.strerror}.") from error
    return Certificate(path, hashlib.sha256(certificate).hexdigest())


def _damaged(path: Path) -> errors.ManagerError:
    return errors.ManagerError(
        f"{path} does not hold the intake's certificate and its key: delete it, and a new one is made; trials that "
        "run know the old one, and report no more: their metrics are read from the storage where that is shared."
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file for this user alone, so that it is there whole or not at all."""
    temporary = path.with_suffix(".part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def _make() -> bytes:
    """Return a new key and its certificate, in PEM."""
    # Loaded for the experiment's first start alone.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nni-kubeflow intake")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + signed.public_bytes(serialization.Encoding.PEM)
