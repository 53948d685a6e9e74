"""A client of any Confluent-compatible schema registry: six calls, and no more.

Services only read it, once, at their start and when they meet an id they don't know; then they run on without it.
`gridsignal schemas register` alone writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from gridsignal_schemas.catalog import SUBJECTS, avro_schema
from gridsignal_services.bus import LogConfigurationError, LogUnavailable
from gridsignal_services.bus.codec import Codec, Poison, schema_id_of
from gridsignal_services.bus.schema_ids import canonical_text, record_of

COMPATIBILITY = "FULL_TRANSITIVE"
TIMEOUT_S = 10.0
_SUBJECT_UNKNOWN, _SCHEMA_UNKNOWN, _VERSION_UNKNOWN = 40401, 40403, 40402
_MAX_STRANGE = 1024
_TYPE = "application/vnd.schemaregistry.v1+json"


class NotRegistered(LogConfigurationError):
    """The registry does not know this subject, schema or id."""


class SchemaRegistry:
    """One registry at one address. Raises LogUnavailable where it can't be reached or fails."""

    def __init__(self, url: str, *, username: str | None = None, password: str | None = None) -> None:
        self._url = url.rstrip("/")
        auth = (username, password or "") if username else None
        self._http = httpx2.AsyncClient(timeout=TIMEOUT_S, auth=auth, headers={"Accept": _TYPE, "Content-Type": _TYPE})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def register(self, subject: str, schema: str) -> int:
        """Adds the schema as the subject's next version, and returns its id; the id it has where it is there already.

        Raises LogConfigurationError where it is not compatible with those before it.
        """
        answer = await self._ask("POST", f"subjects/{_quoted(subject)}/versions", {"schema": schema})
        return int(_said(answer, "id"))

    async def id_of(self, subject: str, schema: str) -> int:
        """The id of exactly this schema under this subject. Raises NotRegistered."""
        answer = await self._ask("POST", f"subjects/{_quoted(subject)}", {"schema": schema})
        return int(_said(answer, "id"))

    async def schema(self, schema_id: int) -> str:
        """The schema of an id. Raises NotRegistered."""
        answer = await self._ask("GET", f"schemas/ids/{schema_id}")
        return str(_said(answer, "schema"))

    async def latest(self, subject: str) -> tuple[int, str]:
        """The id and text of the subject's newest version. Raises NotRegistered."""
        answer = await self._ask("GET", f"subjects/{_quoted(subject)}/versions/latest")
        return int(_said(answer, "id")), str(answer["schema"])

    async def require(self, subject: str, compatibility: str = COMPATIBILITY) -> None:
        """Says how each version of the subject must agree with those before it."""
        await self._ask("PUT", f"config/{_quoted(subject)}", {"compatibility": compatibility})

    async def is_compatible(self, subject: str, schema: str) -> bool:
        """Whether the schema could be registered. Raises NotRegistered for a subject without versions."""
        answer = await self._ask(
            "POST", f"compatibility/subjects/{_quoted(subject)}/versions/latest", {"schema": schema}
        )
        return bool(_said(answer, "is_compatible"))

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            response = await self._http.request(method, f"{self._url}/{path}", json=body)
        except httpx2.HTTPError as error:
            raise LogUnavailable(f"schema registry at {self._url}: {type(error).__name__} {error}") from error
        if response.status_code >= 500 or response.status_code == 429:
            raise LogUnavailable(f"schema registry at {self._url}: expected an answer, got {response.status_code}")
        answer = _object(response.content)
        if response.status_code < 300:
            return answer
        message = f"schema registry, {method} {path}: {response.status_code} {str(answer.get('message'))[:200]}"
        if answer.get("error_code") in {_SUBJECT_UNKNOWN, _SCHEMA_UNKNOWN, _VERSION_UNKNOWN}:
            raise NotRegistered(message)
        raise LogConfigurationError(message)


class Schemas:
    """Teaches a codec the schemas it meets on the log: another version of us may write with a newer one.

    Bounded: _MAX_STRANGE ids that the registry does not know. When full: they are asked for again. Conflates: nothing.
    """

    def __init__(self, registry: SchemaRegistry, codec: Codec) -> None:
        self._registry, self._codec = registry, codec
        self._strange: set[int] = set()

    async def learn(self, values: Iterable[bytes]) -> None:
        """Returns when the codec knows the schema of each framed value, as far as the registry does.

        Raises LogUnavailable for an unknown id while the registry is away: to pass over a record that others can read
        would make this process see another log than they do.
        """
        for schema_id in {found for value in values if (found := _id_in(value)) is not None}:
            if self._codec.knows(schema_id) or schema_id in self._strange:
                continue
            try:
                self._codec.learn(schema_id, await self._registry.schema(schema_id))
            except LogConfigurationError:  # nobody registered it, or it is none of ours: its records are poison
                if len(self._strange) >= _MAX_STRANGE:
                    self._strange.clear()
                self._strange.add(schema_id)


def _id_in(value: bytes) -> int | None:
    try:
        return schema_id_of(value)
    except Poison:
        return None


async def register_all(registry: SchemaRegistry, prefix: str = "") -> dict[str, int]:
    """Registers every subject's schema; its id by subject. In this order always: empty registries give the same ids.

    Raises LogConfigurationError where one is not compatible with those before it.
    """
    registered = {}
    for subject in SUBJECTS:
        await registry.require(prefix + subject)
        registered[subject] = await registry.register(prefix + subject, text_of(subject))
    return registered


async def ids(registry: SchemaRegistry, prefix: str = "") -> dict[str, int]:
    """The id of the contract's schema of each subject, as Codec takes them. Raises NotRegistered for a missing one."""
    found = {}
    for subject in SUBJECTS:
        found[subject] = await registry.id_of(prefix + subject, text_of(subject))
    return found


def text_of(subject: str) -> str:
    """What is registered for a subject: the schema without docs, so that better words are no new version."""
    return canonical_text(avro_schema(record_of(subject)))


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _object(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {}


def _said(answer: dict[str, Any], name: str) -> Any:
    """A field of an answer. Raises LogUnavailable: without it something else answers in the registry's place."""
    if name not in answer:
        raise LogUnavailable(f"schema registry: expected an answer with {name}, got one without")
    return answer[name]
