"""The portal's pages: one built document for all of them, its assets, and what is shown instead of it."""

import base64
import hashlib
import html
import mimetypes
import pathlib
import re
import string

from aiohttp import web

from nni.server import answers, auth

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'self'"
)
COOKIE_SECONDS = 30 * 24 * 3600

_BASE = '<base href="./"'
_FILE = re.compile(r"\.[A-Za-z0-9]{1,8}$")

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;"
    "padding:0 1.25rem}code{font:0.95em ui-monospace,monospace;background:#8882;padding:.15em .4em;border-radius:4px;"
    "overflow-wrap:anywhere}h1{font-size:1.3rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PLAIN_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'self'"
_PLAIN = string.Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">$meta'
    f"<title>$title</title><style>{_STYLE}</style></head><body><h1>$title</h1>$body</body></html>"
)


def command(guard: auth.Guard) -> str:
    """Return the command that prints the link to sign in with."""
    return f"nnictl webui url {guard.experiment_id}"


_FOR_EVER = "public, max-age=31536000, immutable"


class Pages:
    """Everything that is not the API."""

    def __init__(self, root: str, static: pathlib.Path, guard: auth.Guard) -> None:
        self._root = root
        # They are small, and a file that is sent from the disk stays open when its reader goes.
        self._assets = {one.name: one.read_bytes() for one in sorted(static.glob("assets/*"))}
        self._guard = guard
        document = static / "index.html"
        self._document = document.read_text(encoding="utf-8") if document.is_file() else None

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes; the last takes every other path of the portal."""
        routes: list[web.AbstractRouteDef] = []
        if self._assets:
            routes.append(web.get(f"{self._root}/assets/{{name}}", self._asset))
        if self._root:
            routes.append(web.get(self._root, self._start))
        return [*routes, web.get(f"{self._root}/", self._start), web.get(f"{self._root}/{{page:.*}}", self._page)]

    async def _start(self, request: web.Request) -> web.StreamResponse:
        """Send to the overview, by a relative address."""
        name = "" if request.path.endswith("/") else request.path.rpartition("/")[2] + "/"
        query = f"?{request.query_string}" if request.query_string else ""
        raise web.HTTPFound(f"{name}oview{query}")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        """Answer with a file whose name carries a hash of what is in it."""
        name = request.match_info["name"]
        whole = self._assets.get(name)
        kind = mimetypes.guess_type(name)[0]
        if whole is None or kind is None:
            raise answers.refuse(web.HTTPNotFound, f"There is no {request.path} here.")
        headers = {
            "Content-Type": kind,
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
        }
        small = self._assets.get(f"{name}.gz")
        if small is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=small, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=whole, headers=headers)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        page = request.match_info["page"]
        if _FILE.search(page):
            raise answers.refuse(web.HTTPNotFound, f"There is no {request.path} here.")
        token = request.query.get("token")
        if token is not None and self._guard.accepts(token):
            raise self._signed_in(request)
        if not self._guard.knows(request.headers, request.cookies):
            return self._sign_in(request)
        if self._document is None:
            return _plain("The page is not built", "<p>Run <code>make web</code>, then start the experiment again.</p>")
        base = "../" * page.count("/") or "./"
        document = self._document.replace(_BASE, f'<base href="{base}"', 1)
        return web.Response(text=document, content_type="text/html")

    def _signed_in(self, request: web.Request) -> web.HTTPException:
        """Return the way on to the same page without the token in its address."""
        rest = request.rel_url.without_query_params("token")
        onward = web.HTTPSeeOther(rest.name + (f"?{rest.raw_query_string}" if rest.raw_query_string else ""))
        onward.set_cookie(
            self._guard.cookie,
            self._guard.token,
            path=self._root or "/",
            max_age=COOKIE_SECONDS,
            httponly=True,
            secure=request.secure,
            samesite="Strict",
        )
        return onward

    def _sign_in(self, request: web.Request) -> web.Response:
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and "token" not in request.query:
            # A strict cookie does not come along from a link on another site. Asking again from here brings it.
            return _plain("One moment", "", meta='<meta http-equiv="refresh" content="0">', status=401)
        wrong = "<p>The link's token is not this experiment's: it may be an old link.</p>"
        body = (
            f"<p>This portal belongs to experiment <code>{html.escape(self._guard.experiment_id)}</code>. "
            "On the machine where it was started, run</p>"
            f"<p><code>{html.escape(command(self._guard))}</code></p>"
            "<p>and open the link that it prints.</p>"
        )
        return _plain("Sign in", (wrong if "token" in request.query else "") + body, status=401)


def _plain(title: str, body: str, *, meta: str = "", status: int = 200) -> web.Response:
    return web.Response(
        text=_PLAIN.substitute(title=title, body=body, meta=meta),
        content_type="text/html",
        status=status,
        headers={"Content-Security-Policy": _PLAIN_POLICY},
    )
