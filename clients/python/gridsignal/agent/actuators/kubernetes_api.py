"""The API of a Kubernetes cluster: lists in pages, changes of just what was read, and a Lease for one writer at a time.

Bounded: `timeout_s` a call, MOST_BYTES an answer, MOST_OBJECTS a list. When full: ActuatorFailed. Conflates: nothing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
import ssl
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2

from gridsignal.agent.actuators import ActuatorFailed
from gridsignal.agent.kubeconfig import Access

MANAGER = "gridsignal-agent"
"""The name of the Lease, and of the Secret."""
MOST_BYTES = 64 * 1024 * 1024
MOST_OBJECTS = 50_000
_PAGE = 500
_TRIES, _FIRST_WAIT_S = 3, 0.2
_RENEW = 3
"""The Lease is renewed after a third of its time."""
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
_SECRETS = "/api/v1/namespaces/{}/secrets"
_KEY, _KEY_BYTES = "key", 32
_MERGE = {"Content-Type": "application/merge-patch+json"}


class Refused(ActuatorFailed):
    """The cluster's answer is no."""

    def __init__(self, status: int, what: str, at: datetime | None) -> None:
        super().__init__(what)
        self.status, self.at = status, at


class Changed(ActuatorFailed):
    """Somebody else has changed it since it was read: it has to be read again."""


class _Unreached(ActuatorFailed):
    """No answer, or one that is none."""


class AnotherWrites(ActuatorFailed):
    """Another agent is at work here."""


class KubernetesApi:
    """One cluster."""

    def __init__(self, access: Access, *, timeout_s: float) -> None:
        self.access, self._timeout_s = access, timeout_s
        self._http: httpx2.AsyncClient | None = None

    async def listed(self, path: str, **query: str) -> list[dict[str, Any]]:
        """All of a kind, in pages. Raises ActuatorFailed."""
        found, more = list[dict[str, Any]](), ""
        while True:
            _, page = await self._call(
                "GET", path, {**query, "limit": str(_PAGE), **({"continue": more} if more else {})}
            )
            if not isinstance(items := page.get("items"), list):
                raise ActuatorFailed(f"kubernetes {path}: expected a list, got {json.dumps(page)[:100]}")
            found += items
            if not (more := (page.get("metadata") or {}).get("continue") or ""):
                return found
            if len(found) >= MOST_OBJECTS:
                raise ActuatorFailed(f"{path}: expected at most {MOST_OBJECTS} objects, got more")

    async def get(self, path: str) -> dict[str, Any]:
        """Raises ActuatorFailed, of which Refused where it is not there."""
        return (await self._call("GET", path, {}))[1]

    async def patch(self, path: str, version: str, change: Mapping[str, Any]) -> None:
        """Changes what was read in this version, and nothing else. Raises Changed, Refused, ActuatorFailed."""
        metadata = {**change.get("metadata", {}), "resourceVersion": version}
        await self._call("PATCH", path, {"fieldManager": MANAGER}, {**change, "metadata": metadata}, _MERGE)

    async def may(self, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        """Whether the cluster would let us."""
        asked = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        body = {**review, "spec": {"resourceAttributes": asked}}
        _, answer = await self._call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}, body)
        return bool(answer["status"]["allowed"])

    async def claim(self, holder: str, lease_s: int) -> None:
        """Makes us the one who writes, for so long. Raises AnotherWrites.

        By the cluster's own clock: ours, and that of another agent, may be off.
        """
        leases = _LEASES.format(self.access.namespace)
        spec: dict[str, Any] = {"holderIdentity": holder, "leaseDurationSeconds": lease_s}
        try:
            at, lease = await self._call("GET", f"{leases}/{MANAGER}", {})
        except Refused as refused:
            if refused.status != 404:
                raise
            first: dict[str, Any] = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": MANAGER},
            }
            first["spec"] = spec | {"renewTime": _micro(_known(refused.at))}
            await self._call("POST", leases, {"fieldManager": MANAGER}, first)
            return
        now, held = _known(at), lease["spec"]
        renewed, lasts_s = held.get("renewTime"), held.get("leaseDurationSeconds") or 0
        age = now - datetime.fromisoformat(renewed) if renewed else timedelta.max
        other = str(held.get("holderIdentity") or "")
        if other not in ("", holder) and age < timedelta(seconds=lasts_s):
            raise AnotherWrites(f"expected to be the only agent here, got another that is at work: {other}")
        if other != holder or not timedelta(0) <= age < timedelta(seconds=lease_s / _RENEW):
            lease["spec"] = held | spec | {"renewTime": _micro(now)}
            await self._call("PUT", f"{leases}/{MANAGER}", {"fieldManager": MANAGER}, lease)

    async def key(self) -> bytes | None:
        """With which notes are signed, from our Secret; None where nobody has made it. Raises ActuatorFailed."""
        try:
            secret = await self.get(f"{_SECRETS.format(self.access.namespace)}/{MANAGER}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return None
        try:
            key = base64.b64decode(secret["data"][_KEY], validate=True)
        except (KeyError, TypeError, binascii.Error):
            key = b""
        if len(key) < _KEY_BYTES:
            raise ActuatorFailed(f"the Secret {MANAGER}: expected {_KEY} of {_KEY_BYTES} bytes or more, got {len(key)}")
        return key

    async def new_key(self) -> bytes:
        """Makes the Secret. Raises Changed where somebody else has meanwhile."""
        key = secrets.token_bytes(_KEY_BYTES)
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": MANAGER}}
        body |= {"data": {_KEY: base64.b64encode(key).decode()}}
        await self._call("POST", _SECRETS.format(self.access.namespace), {"fieldManager": MANAGER}, body)
        return key

    async def aclose(self) -> None:
        """Ends its connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[datetime | None, dict[str, Any]]:
        """The cluster's time, and its answer; what only reads is tried again."""
        for attempt in range(_TRIES - 1 if method == "GET" else 0):
            try:
                return await self._once(method, path, query, body, headers or {})
            except Refused as refused:
                if refused.status not in (429, 500, 502, 503, 504):
                    raise
            except _Unreached:
                pass
            await asyncio.sleep(_FIRST_WAIT_S * 2**attempt)
        return await self._once(method, path, query, body, headers or {})

    async def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> tuple[datetime | None, dict[str, Any]]:
        """Raises Changed, Refused, _Unreached, ActuatorFailed."""
        try:
            return await self._exchanged(method, path, query, body, headers)
        except (httpx2.HTTPError, OSError, TimeoutError, ValueError) as error:
            raise _Unreached(f"kubernetes {self.access.server}: {str(error) or type(error).__name__}") from error

    async def _exchanged(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> tuple[datetime | None, dict[str, Any]]:
        http, url = self._client(), self.access.server + path
        content = None if body is None else json.dumps(body).encode()
        more = {"Accept": "application/json", "Content-Type": "application/json", **headers, **self._token()}
        async with asyncio.timeout(self._timeout_s):
            async with http.stream(method, url, params=query, content=content, headers=more) as answer:
                said = bytearray()
                async for part in answer.aiter_bytes():
                    said += part
                    if len(said) > MOST_BYTES:
                        raise ActuatorFailed(f"{path}: expected at most {MOST_BYTES} bytes, got more")
        at = _date(answer.headers.get("Date"))
        if answer.status_code >= 300:
            what = f"kubernetes: {method} {path}: {answer.status_code} {_message(bytes(said))}"
            raise Changed(what) if answer.status_code == 409 else Refused(answer.status_code, what, at)
        return at, json.loads(said)

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            try:
                verify = ssl.create_default_context(cadata=self.access.authority)
                if self.access.certificate is not None and self.access.key is not None:
                    _load(verify, self.access.certificate, self.access.key)
            except (ssl.SSLError, OSError) as wrong:
                raise ActuatorFailed(f"kubernetes: expected certificates in PEM, got {wrong}") from wrong
            self._http = httpx2.AsyncClient(verify=verify, timeout=self._timeout_s, trust_env=False)
        return self._http

    def _token(self) -> dict[str, str]:
        token = self.access.token
        if self.access.token_file is not None:
            try:
                token = self.access.token_file.read_text("utf-8").strip()
            except OSError as error:
                raise ActuatorFailed(f"{self.access.token_file}: {error.strerror}") from error
        return {"Authorization": f"Bearer {token}"} if token else {}


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Python's TLS takes them from files alone."""
    with tempfile.TemporaryDirectory() as folder:
        chain, private = Path(folder, "chain"), Path(folder, "key")
        chain.write_bytes(certificate)
        private.touch(0o600)
        private.write_bytes(key)
        context.load_cert_chain(chain, private)


def _micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _date(text: str | None) -> datetime | None:
    """The cluster's time, where it says so."""
    try:
        at = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return None if at.tzinfo is None else at


def _known(at: datetime | None) -> datetime:
    """The cluster's time. Raises ActuatorFailed: by our own clock we might take a Lease that holds."""
    if at is None:
        raise ActuatorFailed(
            "kubernetes: expected an answer with a Date, got none: a Lease goes by the cluster's clock"
        )
    return at


def _message(said: bytes) -> str:
    """What a Status says, or the beginning of something else."""
    try:
        return str(json.loads(said)["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return said[:200].decode(errors="replace")
