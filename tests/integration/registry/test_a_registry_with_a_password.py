"""A real Apicurio registry that asks who one is, by a name and a password."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from gridsignal_schemas.catalog import SUBJECTS
from gridsignal_services.bus import LogConfigurationError
from gridsignal_services.bus.registry import SchemaRegistry
from gridsignal_services.cli import schemas
from tests.patience import SOON_S
from tests.services.registry import Identities, RegistryNode

CLIENT, PASSWORD = "gridsignal", "canary-of-the-registry"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Identities]]:
    """Its URL, and who it asks."""
    identities = Identities(CLIENT, PASSWORD)
    endpoints = {"REGISTRY_AUTH_URL_CONFIGURED": identities.url, "TOKEN_ENDPOINT": f"{identities.url}/token"}
    asks = {"REGISTRY_AUTH_ENABLED": "true", "CLIENT_CREDENTIALS_BASIC_AUTH_ENABLED": "true"}
    node = RegistryNode(tmp_path_factory.mktemp("registry"), **endpoints, **asks)
    yield node.url, identities
    node.process.stop()
    identities.stop()


def _register(monkeypatch: pytest.MonkeyPatch, url: str, password: str) -> int:
    monkeypatch.setenv("GRIDSIGNAL_SCHEMA_REGISTRY_USERNAME", CLIENT)
    monkeypatch.setenv("GRIDSIGNAL_SCHEMA_REGISTRY_PASSWORD", password)
    return schemas.run(schemas.parser().parse_args(["register", "--schema-registry", url]))


async def test_who_says_no_password_gets_nothing(guarded: tuple[str, Identities]) -> None:
    url, _ = guarded
    async with httpx2.AsyncClient(timeout=SOON_S) as client:
        assert (await client.get(f"{url}/subjects")).status_code == 401
    async with SchemaRegistry(url) as registry:
        with pytest.raises(LogConfigurationError, match="401"):
            await registry.latest(SUBJECTS[0])


def test_the_schemas_are_registered_with_the_right_password_alone(
    guarded: tuple[str, Identities], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, identities = guarded
    assert _register(monkeypatch, url, "wrong-canary") == 2
    told = capsys.readouterr()
    assert "401" in told.err
    assert "canary" not in told.err
    assert _register(monkeypatch, url, PASSWORD) == 0
    assert capsys.readouterr().out.count("\n") == len(SUBJECTS)
    assert set(identities.asked) == {200, 401}
