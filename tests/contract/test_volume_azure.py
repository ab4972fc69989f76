"""Azure Files with the real SDK, against a double that checks every signature."""

import dataclasses
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from nni import errors
from nni.core import ports, spec
from nni.storage import azure_access, azure_files
from nni.testing import azure as double
from nni.testing import volume as contract

pytestmark = pytest.mark.requires("azure")

SHARE = "nni"
LEGAL_NAMES = ("with blank", "Grüße 世界", "it's", "-rf", "$HOME", "#1x=y%20", "a&b+c", "x" * 250)


@dataclasses.dataclass
class Place:
    service: double.FileService
    root: Path
    storage: spec.AzureSpec

    async def volume(self, key: str = double.KEY) -> azure_files.AzureVolume:
        return await azure_access.volume(self.storage, key)


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    root = tmp_path / "shares"
    root.mkdir()
    service = double.FileService(root)
    async with double.serving(service) as endpoint:
        storage = spec.AzureSpec(account=double.ACCOUNT, share=SHARE, endpoint=endpoint)
        yield Place(service, root, storage)


@pytest_asyncio.fixture
async def volume(place: Place) -> AsyncIterator[azure_files.AzureVolume]:
    opened = await place.volume()
    yield opened
    await opened.close()


class TestAzureVolume(contract.VolumeContract):
    @pytest.fixture(autouse=True)
    def _volume(self, volume: azure_files.AzureVolume, place: Place) -> None:
        self.volume, self.root = volume, place.root / SHARE

    async def open(self, directory: Path) -> ports.Volume:
        return self.volume

    async def grow(self, volume: ports.Volume, path: str, content: bytes) -> None:
        """As a pod that has the share mounted."""
        with (self.root / path).open("ab", buffering=0) as file:
            file.write(content)

    @pytest.mark.parametrize(
        "name", ["with blank", "Grüße 世界", "it's", "-rf", "$HOME", "#1x=y%20", "a&b+c", "x" * 250]
    )
    async def test_odd_names(self, name: str, tmp_path: Path) -> None:
        """What Azure Files allows; see below for the others."""
        await super().test_odd_names(name, tmp_path)


@pytest.mark.parametrize("name", ['"quoted"', "a\nb", "what?", "a:b", "a*", "dot.", "pipe|", "..\\up", "latin-\udce9"])
async def test_names_that_azure_does_not_know_are_refused(name: str, volume: azure_files.AzureVolume) -> None:
    with pytest.raises(errors.VolumeError, match="has a character that names there may not have"):
        await volume.put(name, b"x")


async def test_a_share_is_made_once(place: Place) -> None:
    for _ in range(2):
        await (await place.volume()).close()
    assert (place.root / SHARE).is_dir()
    assert list((place.root / SHARE).iterdir()) == []


async def test_many_names_come_in_pages(volume: azure_files.AzureVolume, place: Place) -> None:
    (place.root / SHARE / "many").mkdir()
    for number in range(250):
        (place.root / SHARE / "many" / f"{number:03}").write_bytes(b"x")
    assert await volume.list("many") == [f"{number:03}" for number in range(250)]
    assert await volume.usage("many") == 250


async def test_a_file_that_grows_meanwhile_is_read(volume: azure_files.AzureVolume, place: Place) -> None:
    path = place.root / SHARE / "stdout"
    path.write_bytes(b"x" * (9 << 20))
    assert len(await volume.read("stdout")) == 9 << 20
    with path.open("ab") as file:
        file.write(b"more")
    assert await volume.read("stdout", 9 << 20) == b"more"


async def test_a_server_that_is_busy_is_asked_again(volume: azure_files.AzureVolume, place: Place) -> None:
    place.service.refusals = [(503, "ServerBusy")]
    await volume.put("a", b"x")
    assert await volume.read("a") == b"x"


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AuthenticationFailed", r"the account's key is refused; check that key_vault_key"),
        (404, "ShareNotFound", "the share does not exist any more; correct azure_share"),
        (403, "AuthorizationFailure", "the account's network rules keep this machine out"),
        (413, "ShareSizeLimitReached", "the share is full"),
        (409, "SomethingElse", "SomethingElse"),
    ],
)
async def test_what_went_wrong_is_said(
    status: int, code: str, said: str, volume: azure_files.AzureVolume, place: Place
) -> None:
    place.service.refusals = [(status, code)] * 20
    with pytest.raises(errors.VolumeError, match=rf"^a/b in the share nni of .* could not be written: {said}"):
        await volume.put("a/b", b"x")


async def test_a_wrong_key_is_refused_and_never_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXk="
    with pytest.raises(errors.VolumeError, match="share nni of Azure storage account nniteststorage") as caught:
        await place.volume(wrong)
    assert "the account's key is refused" in str(caught.value)
    for text in (str(caught.value), caplog.text):
        assert wrong not in text
        assert double.KEY not in text


async def test_an_account_that_is_not_there(place: Place) -> None:
    storage = dataclasses.replace(place.storage, endpoint="http://127.0.0.1:1")
    with pytest.raises(errors.VolumeError, match="the account does not answer; correct azure_account"):
        await azure_access.volume(storage, double.KEY)
