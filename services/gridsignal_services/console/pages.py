"""The console's files, with a policy for what a browser may do with them, and the exchange of one-time links.

Everything comes from the wheel. The page may speak to the three doors, to the issuer where people sign in, and to
nobody else; it holds no script and no style within its text, and no other page may frame it.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from gridsignal_schemas.values import Shape
from gridsignal_services.console.links import Links
from gridsignal_services.rest import problems
from gridsignal_services.settings import ServerSettings

PATH = "/console"
SERVED = {
    "index.html": "text/html; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""All there is, and as what it is sent."""
_MOST_BODY = 1024
_ALWAYS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SignIn(Shape):
    """What a one-time link is exchanged by."""

    code: str


class SignInAt(Shape):
    """Where people sign in with OpenID Connect; all null where they paste a token."""

    issuer: str | None
    client_id: str | None
    scope: str | None

    @classmethod
    def of(cls, settings: ServerSettings) -> SignInAt:
        """As the settings say."""
        if settings.console_client is None:
            return cls(issuer=None, client_id=None, scope=None)
        return cls(issuer=settings.issuer, client_id=settings.console_client, scope=settings.console_scope)

    @property
    def origin(self) -> str | None:
        """Where the page exchanges a code for a token."""
        if self.issuer is None:
            return None
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"


class Console:
    """The console of one door; it is there once its gateway's address is known."""

    def __init__(self, settings: ServerSettings, now_s: Callable[[], float]) -> None:
        self.gateway, self.ingest = settings.console_gateway, settings.console_ingest
        """Where browsers reach the gateway, such as wss://grid.example:8081, and the ingest door."""
        self.links = Links(now_s)
        self._sign_in = SignInAt.of(settings)

    def add_to(self, app: FastAPI) -> None:
        """Adds /console and what lies below it."""
        served = {name: _File.read(name) for name in SERVED}

        @app.get(PATH, include_in_schema=False)
        async def page(request: Request) -> Response:
            return self._answer(request, served["index.html"])

        @app.get(PATH + "/", include_in_schema=False)
        async def typed_with_a_slash() -> Response:
            return Response(status_code=308, headers={"Location": f"..{PATH}"})  # also below a proxy's path

        @app.get(PATH + "/sign-in", include_in_schema=False)
        async def where() -> SignInAt:
            return self._sign_in

        @app.get(PATH + "/{name}", include_in_schema=False)
        async def one(request: Request, name: str) -> Response:
            if name not in served:
                raise problems.no_page()
            return self._answer(request, served[name])

        @app.post(PATH + "/sign-in", include_in_schema=False)
        async def sign_in(request: Request) -> Response:
            token = self.links.take(await _code_of(request))
            if token is None:
                raise problems.unauthorized("The link was used before, or is too old: ask for another one.")
            return Response(
                f'{{"token":"{token}"}}', media_type="application/json", headers={"Cache-Control": "no-store"}
            )

    def _answer(self, request: Request, file: _File) -> Response:
        if self.gateway is None:
            raise problems.nothing_yet(
                "There is no console here: GRIDSIGNAL_CONSOLE_GATEWAY has to say where its gateway is."
            )
        headers = {
            **_ALWAYS,
            "Content-Security-Policy": policy(self.gateway, self.ingest, self._sign_in.origin),
            "ETag": file.tag,
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.kind)
        return Response(file.plain, headers=headers, media_type=file.kind)


class _File:
    """A file as it is sent."""

    def __init__(self, plain: bytes, kind: str) -> None:
        self.plain, self.kind = plain, kind
        self.packed = gzip.compress(plain, 9, mtime=0)
        self.tag = f'"{hashlib.sha256(plain).hexdigest()[:32]}"'

    @classmethod
    def read(cls, name: str) -> _File:
        return cls(files(__package__).joinpath("served", name).read_bytes(), SERVED[name])


def policy(gateway: str, *others: str | None) -> str:
    """The Content-Security-Policy (W3C, level 3) of the page: nothing from elsewhere, nothing within its text."""
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": " ".join(filter(None, ("'self'", gateway, *others))),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


async def _code_of(request: Request) -> str:
    """Raises Problem 400, 413, 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise problems.unsupported_media_type()
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > _MOST_BODY:
            raise problems.too_large(_MOST_BODY)
    try:
        return SignIn.model_validate_json(bytes(text)).code
    except ValidationError:
        raise problems.bad_request("NOT_JSON", "", 'expected {"code": "..."}') from None
