"""Whether what the fake gateway is sent is signed, where a test wants that; by the rules of the real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gridsignal.clock import wall
from gridsignal.testing.world import Refusal
from gridsignal_protocol.server.events import Publish
from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import BaselineDeclaration

if TYPE_CHECKING:
    from gridsignal_schemas.signatures import Signed


class Signatures:
    """What holds for the fake's participant. Bounded: by the test that writes. Conflates: nothing."""

    def __init__(self, keys: Mapping[str, str], signed_for: str, *, is_required: bool) -> None:
        self._keys, self._signed_for, self._is_required = keys, signed_for, is_required
        self._used: set[str] = set()

    def refusal(self, asked: Publish) -> Refusal | None:
        """Why a write is refused; None where its signature is good, or none is there and none is owed."""
        if asked.signature is None and not self._is_required:
            return None
        from gridsignal_schemas.signatures import BadSignature, Signing, VerifyingKey, checked

        keys = {kid: VerifyingKey(key) for kid, key in self._keys.items()}
        signing = Signing(self._signed_for, keys, is_required=self._is_required)
        try:
            said = checked(asked.record, asked.signature, signing, wall())
        except BadSignature as bad:
            return _because(bad.fault)
        return self._twice(asked, said)

    def _twice(self, asked: Publish, said: Signed | None) -> Refusal | None:
        if said is None or not isinstance(asked.record, BaselineDeclaration):
            return None
        if said.jti in self._used:
            message = f"expected a jti that was not used before, got {said.jti:.64}"
            return _because(Detail(code="SIGNATURE_REPLAYED", pointer="/signature", message=message))
        self._used.add(said.jti)
        return None


def _because(detail: Detail) -> Refusal:
    return Refusal(detail.code.lower(), details=(detail,))
