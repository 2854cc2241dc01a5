"""Serving the page: its built files, and what the operator says to it (`/config.json`).

Strict headers, no directory lists, nothing outside `page/dist`. It knows neither Matrix
nor the focus; who makes demo accounts adds that route.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

DIST = Path(__file__).resolve().parent / "page" / "dist"
"Where `npm run build` puts the page."

FOREVER = "public, max-age=31536000, immutable"
"Files under `assets/` carry a digest in their name."

NOT_BUILT = "The page is not built: run `make setup`.\n"

Config = Callable[[], Mapping[str, Any]]
"What /config.json answers; `homeserver` in it is the one server that the page may talk to."


def policy(homeserver: str) -> dict[str, str]:
    """The headers of every answer: what the page may load, and whom it may ask."""
    parts = urlsplit(homeserver)
    origin = f"{parts.scheme}://{parts.netloc}"
    rules = (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # the Rust crypto of matrix-js-sdk is WebAssembly
        "style-src 'self' 'unsafe-inline'",
        f"img-src 'self' data: blob: {origin}",
        "font-src 'self'",
        "media-src 'self' blob:",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        f"connect-src 'self' {origin}",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
    return {
        "Content-Security-Policy": "; ".join(rules),
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), autoplay=(self)",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def routes(config: Config, dist: Path = DIST) -> list[web.RouteDef]:
    """The page's routes: /, /config.json, and the built files."""

    def headers(cache: str) -> dict[str, str]:
        return {**policy(str(config().get("homeserver", ""))), "Cache-Control": cache}

    async def settings(_: web.Request) -> web.Response:
        return web.json_response(dict(config()), headers=headers("no-store"))

    async def file(request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name") or "index.html"
        path = (dist / name).resolve()
        if not path.is_relative_to(dist) or not path.is_file():
            if name == "index.html":
                return web.Response(status=503, text=NOT_BUILT)
            raise web.HTTPNotFound
        return web.FileResponse(path, headers=headers(FOREVER if name.startswith("assets/") else "no-cache"))

    return [web.get("/config.json", settings), web.get("/", file), web.get("/{name:.+}", file)]
