"""One schema registry for all tests; each test has subjects of its own under a prefix."""

from __future__ import annotations

import json
import os
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.conftest import RAN_ON
from tests.services.maven import need, unpacked
from tests.services.process import Process, free_ports

VERSION = "2.6.13.Final"
ADDRESS = "GRIDSIGNAL_TEST_REGISTRY"


class RegistryNode:
    """Apicurio, with its state in memory."""

    def __init__(self, folder: Path, **env: str) -> None:
        need("java", "mvn")
        program = unpacked(f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all")
        (jar,) = program.glob("*-runner.jar")
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        jvm = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        listen = ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}"]
        self.process = Process(["java", *jvm, *listen, "-jar", str(jar)], "Listening on", folder / "registry.out", env)


def _method(answer: Callable[..., None]) -> Callable[..., None]:
    """As a class has it: called with the page, whatever `answer` belongs to."""
    return lambda page, *words: answer(page, *words)


def _tell(page: BaseHTTPRequestHandler, status: int, body: object) -> None:
    text = json.dumps(body).encode()
    page.send_response(status)
    page.send_header("Content-Type", "application/json")
    page.send_header("Content-Length", str(len(text)))
    page.end_headers()
    page.wfile.write(text)


class Identities:
    """Who an Apicurio registry asks about a name and a password: it knows basic auth as a client's credentials alone.

    The least of an OpenID provider: what there is, its keys, and tokens for the one client who says the right password.
    """

    def __init__(self, client: str, password: str) -> None:
        self._key = RSAKey.generate_key(2048, {"kid": "of-a-test"})
        self._credentials = client, password
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[int] = []
        """The statuses of its answers to who asked for a token."""
        answers = {"do_GET": self._show, "do_POST": self._judge, "log_message": lambda *_: None}
        page = type("Page", (BaseHTTPRequestHandler,), {name: _method(answer) for name, answer in answers.items()})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), page)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _show(self, page: BaseHTTPRequestHandler) -> None:
        _tell(page, 200, self.told(page.path))

    def _judge(self, page: BaseHTTPRequestHandler) -> None:
        form = parse_qs(page.rfile.read(int(page.headers["Content-Length"])).decode())
        basic = page.headers.get("Authorization", "").removeprefix("Basic ")
        said = tuple(b64decode(basic).decode().split(":", 1)) if basic else None
        given = said or (form.get("client_id", [""])[0], form.get("client_secret", [""])[0])
        right = given == self._credentials
        self.asked.append(200 if right else 401)
        _tell(page, self.asked[-1], self.token() if right else {"error": "invalid_client"})

    def told(self, path: str) -> object:
        """The discovery document at any path but that of the keys."""
        if path.endswith("/keys"):
            return {"keys": [self._key.as_dict(private=False) | {"use": "sig", "alg": "RS256"}]}
        ways = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token"}
        return ways | {"authorization_endpoint": f"{self.url}/auth", "introspection_endpoint": f"{self.url}/look"}

    def token(self) -> dict[str, object]:
        """A token of the client, for the registry."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": self._credentials[0], "azp": self._credentials[0], "iat": now}
        claims |= {"exp": now + 600, "typ": "Bearer", "preferred_username": self._credentials[0]}
        made = jwt.encode({"alg": "RS256", "kid": "of-a-test"}, claims, self._key, algorithms=["RS256"])
        return {"access_token": made, "token_type": "Bearer", "expires_in": 600}

    def stop(self) -> None:
        """Answers nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="session")
def schema_registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL under which a Confluent-compatible registry answers."""
    if url := os.environ.get(ADDRESS):
        request.config.stash[RAN_ON]["schema registry"] = f"at {ADDRESS}"
        yield url
        return
    node = RegistryNode(tmp_path_factory.mktemp("registry"))
    request.config.stash[RAN_ON]["schema registry"] = f"Apicurio {VERSION}, started by the tests"
    yield node.url
    node.process.stop()
