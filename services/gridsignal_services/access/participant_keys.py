"""The keys that participants sign with, and from whom a signature is asked for: their part of the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from gridsignal_schemas.signatures import Signing, VerifyingKey
from gridsignal_schemas.values import Identifier, Name, Shape, Timestamp, rfc3339

_MOST_KEYS = 64


class KeyEntry(Shape):
    """One key of a participant, under its kid; an older one stays, with the time until which it was used."""

    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Ed25519, 32 bytes in hexadecimal, as `gridsignal key show` tells it."""
    valid_from: Timestamp | None = None
    """What was logged from then on may be signed with it; absent: all before valid_until."""
    valid_until: Timestamp | None = None
    """What was logged before then may be; absent: all from valid_from on."""
    revoked_at: Timestamp | None = None
    """It was lost or stolen: what was logged from then on may not be, and it is never needed again."""


class Asks(Shape):
    """An organisation at whose wish what participants send is signed."""

    signatures: Literal["optional", "required"] = "optional"
    """Whether what is sent without a signature is refused. One that is there is checked in any case."""
    signatures_from: Timestamp | None = None
    """Required of what is logged from then on; absent: of everything."""


class Signs(Asks):
    """A participant: `signatures` is about all it sends."""

    keys: Annotated[dict[Identifier, KeyEntry], Field(max_length=_MOST_KEYS, default_factory=dict)]
    """By kid."""


def signing(audience: Name | None, who: Signs, asks: Asks | None) -> Signing:
    """What holds for a record of this participant, about a request of an operator who `asks`, where there is one."""
    strict = [each for each in (who, asks) if each is not None and each.signatures == "required"]
    times = [each.signatures_from for each in strict]
    return Signing(
        audience=audience or "",
        keys={
            kid: VerifyingKey(key.public_key, key.valid_from, key.valid_until, key.revoked_at)
            for kid, key in who.keys.items()
        },
        is_required=bool(strict),
        required_from=None if None in times else min(filter(None, times), default=None),
    )


def faults_of_keys(audience: Name | None, participants: Mapping[str, Signs]) -> Iterator[str]:
    """What is wrong with the keys of a registry, each as key: expected ..., got ..."""
    if audience is None and any(each.keys for each in participants.values()):
        yield "signed_for: expected a name of this deployment, for which participants sign, got nothing"
    for name, who in participants.items():
        if who.signatures == "required" and not who.keys:
            yield f"participants.{name}.keys: expected a key, for signatures are required, got none"
        for kid, key in who.keys.items():
            if key.valid_from is not None and key.valid_until is not None and key.valid_from >= key.valid_until:
                until = f"participants.{name}.keys.{kid}.valid_until"
                yield f"{until}: expected a time after valid_from, got {rfc3339(key.valid_until)}"
