"""A double of Azure Files and of Key Vault for tests, with the real SDKs on the other side.

It knows what the SDKs ask for and no more. What it does not let pass is a wrong signature: every request to the share
is checked as Shared Key says, and Key Vault gives nothing without the token that its challenge asks for. Files are
those of a directory, so that pods of a sandbox can have the same share.
"""

import asyncio
import base64
import contextlib
import dataclasses
import email.utils
import hashlib
import hmac
import os
import sys
import urllib.parse
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from xml.sax import saxutils

from aiohttp import web

ACCOUNT = "nniteststorage"
KEY = base64.b64encode(hashlib.sha256(b"a key that protects nothing").digest()).decode()
PAGE = 100
"""Names in one page of a listing, so that paging is met."""
_SIGNED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip


class _RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class FileService:
    """Azure Files with one account.

    Args:
        root: Holds a directory for each share.
    """

    def __init__(self, root: Path) -> None:
        self.requests: list[str] = []
        """Methods and paths, for tests that count."""
        self.refusals: list[tuple[int, str]] = []
        """Answers to give to the next requests in place of the right ones: status and error code."""
        self._root = root

    def app(self) -> web.Application:
        """Return the service as an application, with the shares at its root."""
        made = web.Application(client_max_size=8 << 20)
        made.router.add_route("*", "/{path:.*}", self._answer)
        return made

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        try:
            body = await request.read()
            self._let_in(request)
            return await asyncio.to_thread(self._act, request, body)
        except _RefusedError as refused:
            text = f"<?xml version='1.0'?><Error><Code>{refused.code}</Code><Message>{refused.code}</Message></Error>"
            headers = {"x-ms-error-code": refused.code}
            return web.Response(status=refused.status, text=text, content_type="application/xml", headers=headers)

    def _let_in(self, request: web.Request) -> None:
        if self.refusals:
            raise _RefusedError(*self.refusals.pop(0))
        if not is_signed(request):
            raise _RefusedError(403, "AuthenticationFailed")

    def _act(self, request: web.Request, body: bytes) -> web.Response:
        query = request.query
        share, *names = [urllib.parse.unquote(part) for part in request.rel_url.raw_path.strip("/").split("/")]
        if query.get("restype") == "share":
            return self._make_share(share)
        if not (self._root / share).is_dir():
            raise _RefusedError(404, "ShareNotFound")
        path = self._root.joinpath(share, *names)
        kind = "directory" if query.get("restype") == "directory" else "file"
        what = f"{request.method} {kind} {query.get('comp', '')}".strip()
        acts: Mapping[str, Callable[[], web.Response]] = {
            "PUT directory": lambda: _make_directory(path),
            "GET directory": lambda: _directory_properties(path),
            "HEAD directory": lambda: _directory_properties(path),
            "DELETE directory": lambda: _remove_directory(path),
            "GET directory list": lambda: _list(path, request),
            "PUT file": lambda: _create(path, int(request.headers["x-ms-content-length"])),
            "PUT file range": lambda: _write(path, request.headers["x-ms-range"], body),
            "PUT file properties": lambda: _resize(path, int(request.headers["x-ms-content-length"])),
            "PUT file rename": lambda: self._rename(request, share, path),
            "GET file": lambda: _read(path, request),
            "HEAD file": lambda: _file_properties(path),
            "DELETE file": lambda: _delete(path),
        }
        if what not in acts:
            raise _RefusedError(400, "InvalidQueryParameterValue")
        return acts[what]()

    def _make_share(self, share: str) -> web.Response:
        try:
            (self._root / share).mkdir()
        except FileExistsError:
            raise _RefusedError(409, "ShareAlreadyExists") from None
        return _done(201)

    def _rename(self, request: web.Request, share: str, target: Path) -> web.Response:
        named = urllib.parse.urlsplit(request.headers["x-ms-file-rename-source"]).path
        source_names = [urllib.parse.unquote(part) for part in named.strip("/").split("/")]
        source = self._root.joinpath(*source_names)
        if source_names[0] != share or not source.is_file():
            raise _RefusedError(404, "ResourceNotFound")
        _check_parent(target)
        if target.is_dir() or (target.exists() and request.headers.get("x-ms-file-rename-replace-if-exists") != "true"):
            raise _RefusedError(409, "ResourceAlreadyExists")
        source.replace(target)
        return _done(200)


def is_signed(request: web.Request, key: str = KEY) -> bool:
    """Return whether a request carries the signature of the account's key."""
    given = request.headers.get("Authorization", "")
    headers = {name.lower(): value.strip() for name, value in request.headers.items()}
    if headers.get("content-length") == "0":
        headers["content-length"] = ""
    lines = [request.method, *(headers.get(name, "") for name in _SIGNED)]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
    resource = f"/{ACCOUNT}{request.rel_url.raw_path}"
    resource += "".join(f"\n{name.lower()}:{request.query[name]}" for name in sorted(request.query))
    text = "\n".join([*lines, resource])
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha256")).decode()
    return hmac.compare_digest(given.encode(), f"SharedKey {ACCOUNT}:{signature}".encode())


def _done(status: int, **headers: str) -> web.Response:
    return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _etag(path: Path) -> str:
    found = path.stat()
    return f'"{found.st_mtime_ns:x}-{found.st_size:x}"'


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise _RefusedError(404, "ParentNotFound")


def _check_file(path: Path) -> None:
    _check_parent(path)
    if not path.is_file():
        raise _RefusedError(404, "ResourceNotFound")


def _make_directory(path: Path) -> web.Response:
    _check_parent(path)
    try:
        path.mkdir()
    except FileExistsError:
        raise _RefusedError(409, "ResourceAlreadyExists" if path.is_dir() else "ResourceTypeMismatch") from None
    path.chmod(0o777)
    return _done(201, ETag=_etag(path))


def _directory_properties(path: Path) -> web.Response:
    if not path.is_dir():
        raise _RefusedError(404, "ResourceNotFound")
    return _done(200, ETag=_etag(path), Last_Modified=_http_date(path))


def _remove_directory(path: Path) -> web.Response:
    if not path.is_dir():
        raise _RefusedError(404, "ResourceNotFound")
    try:
        path.rmdir()
    except FileNotFoundError:
        raise _RefusedError(404, "ResourceNotFound") from None
    except OSError:
        raise _RefusedError(409, "DirectoryNotEmpty") from None
    return _done(202)


def _list(path: Path, request: web.Request) -> web.Response:
    if not path.is_dir():
        raise _RefusedError(404, "ResourceNotFound")
    entries = sorted(path.iterdir())
    start = int(request.query.get("marker") or 0)
    following = str(start + PAGE) if start + PAGE < len(entries) else ""
    items = "".join(_entry(entry) for entry in entries[start : start + PAGE])
    text = (
        '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="x" ShareName="x" DirectoryPath="x">'
        f"<DirectoryId>1</DirectoryId><Entries>{items}</Entries><NextMarker>{following}</NextMarker></EnumerationResults>"
    )
    return web.Response(text=text, content_type="application/xml")


def _entry(path: Path) -> str:
    """Return what a listing says of a name; nothing of one that has gone meanwhile."""
    name = saxutils.escape(path.name)
    if path.is_dir():
        return f"<Directory><FileId>1</FileId><Name>{name}</Name><Properties/></Directory>"
    try:
        size = path.lstat().st_size
    except FileNotFoundError:
        return ""
    return (
        f"<File><FileId>1</FileId><Name>{name}</Name><Properties><Content-Length>{size}</Content-Length>"
        "</Properties></File>"
    )


def _create(path: Path, size: int) -> web.Response:
    _check_parent(path)
    if path.is_dir():
        raise _RefusedError(409, "ResourceTypeMismatch")
    path.write_bytes(b"")
    os.truncate(path, size)
    return _done(201, ETag=_etag(path))


def _write(path: Path, span: str, body: bytes) -> web.Response:
    _check_file(path)
    start, end = (int(number) for number in span.removeprefix("bytes=").split("-"))
    if end - start + 1 != len(body) or len(body) > 4 << 20 or end >= path.stat().st_size:
        raise _RefusedError(416, "InvalidRange")
    with path.open("r+b") as file:
        file.seek(start)
        file.write(body)
    return _done(201, ETag=_etag(path), Last_Modified=_http_date(path))


def _resize(path: Path, size: int) -> web.Response:
    _check_file(path)
    os.truncate(path, size)
    return _done(200, ETag=_etag(path))


def _read(path: Path, request: web.Request) -> web.Response:
    _check_file(path)
    size = path.stat().st_size
    span = request.headers.get("x-ms-range") or request.headers.get("Range") or f"bytes=0-{size}"
    first, _, last = span.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or size), size - 1)
    if start > end:
        raise _RefusedError(416, "InvalidRange")
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(end - start + 1)
    headers = {"ETag": _etag(path), "Content-Range": f"bytes {start}-{end}/{size}", "Last-Modified": _http_date(path)}
    return web.Response(status=206, body=content, headers=headers)


def _file_properties(path: Path) -> web.Response:
    _check_file(path)
    size = str(path.stat().st_size)
    identity = str(path.stat().st_ino)
    return _done(
        200,
        ETag=_etag(path),
        Last_Modified=_http_date(path),
        Content_Length=size,
        x_ms_type="File",
        x_ms_file_id=identity,
    )


def _http_date(path: Path) -> str:
    return email.utils.formatdate(path.stat().st_mtime, usegmt=True)


def _delete(path: Path) -> web.Response:
    _check_file(path)
    try:
        path.unlink()
    except FileNotFoundError:
        raise _RefusedError(404, "ResourceNotFound") from None
    return _done(202)


@dataclasses.dataclass(slots=True)
class KeyVault:
    """A vault with one secret, for a client that answers its challenge."""

    token: str
    """The one that it lets in."""
    secrets: dict[str, str]
    """Values by name."""
    is_forbidden: bool = False
    """Whether the client has no right to read secrets."""
    challenged: int = 0
    """How often a client came without a token."""

    def app(self) -> web.Application:
        """Return the vault as an application."""
        made = web.Application()
        made.router.add_get("/secrets/{name}/{version:.*}", self._answer)
        return made

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.challenged += 1
            challenge = (
                'Bearer authorization="https://login.microsoftonline.com/t1", resource="https://vault.azure.net"'
            )
            return web.json_response(
                {"error": {"code": "Unauthorized"}}, status=401, headers={"WWW-Authenticate": challenge}
            )
        name = request.match_info["name"]
        if self.is_forbidden:
            return web.json_response({"error": {"code": "Forbidden", "message": "no"}}, status=403)
        if name not in self.secrets:
            return web.json_response({"error": {"code": "SecretNotFound", "message": "no"}}, status=404)
        return web.json_response({"value": self.secrets[name], "id": f"https://{request.host}/secrets/{name}/1"})


@contextlib.asynccontextmanager
async def serving(service: FileService) -> AsyncIterator[str]:
    """Serve Azure Files on loopback and yield the endpoint."""
    runner = web.AppRunner(service.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _main(root: Path) -> None:
    async with serving(FileService(root)) as endpoint:
        # The lines that whoever started this waits for.
        print(endpoint, ACCOUNT, KEY, sep="\n", flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
