"""The port that people use: pages, the REST API below them, and the door to both.

Everything is reached through relative addresses, so that the portal works below any prefix, whether a proxy in front
takes it off (then this server never knows it) or leaves it (then it is ``url_prefix``).
"""

import pathlib

from aiohttp import typedefs, web

from nni import errors
from nni.server import answers, auth, cluster, files, pages, rest, views


def make_app(
    *,
    sources: rest.Sources,
    about: views.About,
    guard: auth.Guard,
    hosts: auth.Hosts,
    static: pathlib.Path,
) -> web.Application:
    """Return the portal of one experiment.

    Args:
        sources: Where answers come from and commands go.
        about: What stays the same; its ``url_prefix`` is where the portal stands.
        guard: Knows the experiment's token.
        hosts: The names that the portal answers under.
        static: The directory with the built page.
    """
    root = f"/{about.url_prefix}" if about.url_prefix else ""
    api = rest.Rest(sources, about)
    stored = files.Files(
        sources.state, sources.revisions, volume=sources.volume, growth=sources.growth, logs=sources.logs
    )
    shown = pages.Pages(root, static, guard)
    app = web.Application(middlewares=[_door(guard, hosts, f"{root}/api/")])
    app.on_response_prepare.append(_secure)
    app.on_shutdown.extend([api.end_streams, stored.end_streams])
    around = cluster.Cluster(sources.state, sources.surroundings, sources.doctor)
    for part in (api, stored, around):
        app.router.add_routes(part.routes(f"{root}/api/v1/nni"))
    app.router.add_route("*", f"{root}/api/{{path:(?s:.*)}}", _unknown)
    app.router.add_routes(shown.routes())
    return app


def _door(guard: auth.Guard, hosts: auth.Hosts, api: str) -> typedefs.Middleware:
    """Return what lets requests in or turns them away.

    Args:
        guard: Knows the token.
        hosts: Knows the names.
        api: What the paths begin with that need the token; pages look after themselves.
    """

    @web.middleware
    async def keep(request: web.Request, handler: typedefs.Handler) -> web.StreamResponse:
        if not hosts.allows(request.host):
            name = auth.hostname(request.host)
            raise answers.refuse(web.HTTPForbidden, f"This portal does not answer under the name {name}.")
        if not request.path.startswith(api):
            return await handler(request)
        _check(request, guard)
        try:
            return await handler(request)
        except errors.RecordsError as error:
            raise answers.refuse(web.HTTPServiceUnavailable, str(error)) from error

    return keep


def _check(request: web.Request, guard: auth.Guard) -> None:
    if not guard.knows(request.headers, request.cookies):
        sentence = f"Sign in first: {pages.command(guard)} prints the link."
        raise answers.refuse(web.HTTPUnauthorized, sentence)
    is_by_cookie = "Authorization" not in request.headers
    if is_by_cookie and request.method not in {"GET", "HEAD"} and auth.is_foreign(request.headers):
        raise answers.refuse(web.HTTPForbidden, "A page of another origin may not change this experiment.")


async def _unknown(request: web.Request) -> web.StreamResponse:
    raise answers.refuse(web.HTTPNotFound, f"There is no {request.method} {request.path} here.")


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    """Put on every answer what keeps a browser from doing more with it than it should."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", pages.POLICY)
    headers.setdefault("Cache-Control", "no-store")
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-Content-Type-Options"] = "nosniff"
