"""What Azure's errors mean, in sentences that name the resource and never a key."""

import importlib
import types

from nni import errors

INSTALL = "pip install 'nni-kubeflow[azure]'"


def kinds() -> tuple[type[Exception], ...]:
    """Return the root of the SDK's errors; an ``except`` takes it.

    Raises:
        VolumeError: The SDK is not installed.
    """
    try:
        found: type[Exception] = importlib.import_module("azure.core.exceptions").AzureError
    except ImportError as error:
        raise errors.VolumeError(f"Azure's SDK is not installed: {INSTALL}.") from error
    return (found,)


def code(error: BaseException) -> str:
    """Return Azure's own code of an error; empty when it has none."""
    found = getattr(error, "error_code", None) or getattr(getattr(error, "error", None), "code", None)
    return str(getattr(found, "value", found) or "")


def is_one_of(error: BaseException, *codes: str) -> bool:
    """Return whether an error has one of these codes."""
    return code(error) in codes or (getattr(error, "status_code", None) == 416 and "InvalidRange" in codes)


class Passing:
    """A context that passes over errors with some codes."""

    def __init__(self, *codes: str) -> None:
        self._codes = codes

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> bool:
        """Say whether an error is passed over."""
        return isinstance(error, kinds()) and is_one_of(error, *self._codes)


_FILES = {
    "AuthenticationFailed": (
        "the account's key is refused; check that key_vault_key (or the Secret secret_name) holds the key of this "
        "azure_account"
    ),
    "ShareNotFound": "the share does not exist any more; correct azure_share",
    "ShareBeingDeleted": "the share is being deleted; take another azure_share, or wait",
    "InvalidResourceName": "azure_share is no name for a share: 3 to 63 lower-case letters, digits and dashes",
    "AuthorizationFailure": "the account's network rules keep this machine out; allow its address",
    "KeyBasedAuthenticationNotPermitted": "the account does not take its own keys; allow shared key access",
    "AccountIsDisabled": "the account is disabled",
    "ShareSizeLimitReached": "the share is full: raise its quota or make room",
    "ResourceNotFound": "it does not exist",
    "ParentNotFound": "a directory above it does not exist",
    "ResourceTypeMismatch": "a file stands where a directory is needed, or a directory where a file is",
    "ServerBusy": "Azure asks to come back later",
}


def of_files(error: Exception) -> str:
    """Return what an error of Azure Files means, to stand behind a colon."""
    known = _FILES.get(code(error))
    if known is not None:
        return known
    if _is(error, "ServiceRequestError", "ServiceResponseError"):
        return "the account does not answer; correct azure_account, or let this machine reach it"
    return _short(error)


def of_vault(error: Exception, vault: str, secret: str) -> str:
    """Return what an error of Key Vault means, as a sentence."""
    name = f"secret {secret} of Key Vault {vault}"
    if _is(error, "ClientAuthenticationError"):
        return (
            f"Azure does not know who asks for {name}: run `az login` (an old login expires), or use a managed or "
            "workload identity."
        )
    match getattr(error, "status_code", None):
        case 401 | 403:
            return f"Reading {name} is not allowed: give this identity the role `Key Vault Secrets User` on the vault."
        case 404:
            return f"There is no {name}: correct key_vault_key, or store the account's key there."
        case _:
            pass
    if _is(error, "ServiceRequestError", "ServiceResponseError"):
        return f"Key Vault {vault} does not answer: correct key_vault_name, or let this machine reach it."
    return f"The {name} cannot be read: {_short(error)}."


def _is(error: Exception, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _short(error: Exception) -> str:
    # The SDK's own text can quote a request's signature.
    return code(error) or type(error).__name__
