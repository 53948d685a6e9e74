"""Heads of Merkle trees: what is signed of them, by whom, and whether it was."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gridsignal_schemas.messages import TreeHead
from gridsignal_schemas.values import rfc3339

_UNSIGNED = "0" * 128


class Signs(Protocol):
    """Who has a key to sign heads with."""

    @property
    def public_key(self) -> str:
        """32 bytes in hexadecimal."""

    def sign(self, text: bytes) -> str:
        """The Ed25519 signature, 64 bytes in hexadecimal."""


def text_of(head: TreeHead) -> bytes:
    """What is signed: the body of a checkpoint as C2SP's tlog-checkpoint has it, with a line for the time.

    The first line begins as nothing else does that is signed here.
    """
    root = b64encode(bytes.fromhex(head.root)).decode()
    origin = f"gridsignal/{head.log}/dispatch/{head.partition}"
    return f"{origin}\n{head.size}\n{root}\nsigned_at {rfc3339(head.signed_at)}\n".encode()


def signed_head(partition: int, size: int, root: bytes, *, log: str, signed_at: datetime, signer: Signs) -> TreeHead:
    """A head with its signature."""
    unsigned = TreeHead(
        partition=partition,
        size=size,
        root=root.hex(),
        log=log,
        signed_at=signed_at,
        signed_by=signer.public_key,
        signature=_UNSIGNED,
    )
    return unsigned.model_copy(update={"signature": signer.sign(text_of(unsigned))})


def is_signed(head: TreeHead) -> bool:
    """Whether the signature is that of the key it names. Whose key it is, the registry says."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head.signed_by))
        key.verify(bytes.fromhex(head.signature), text_of(head))
    except (InvalidSignature, ValueError):
        return False
    return True
