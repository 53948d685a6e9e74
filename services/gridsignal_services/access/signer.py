"""The key that tree heads are signed with: Ed25519, in the owner's directory, readable by it alone."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gridsignal_services.access import secret_file

FILE = "signer.pem"
_CHANGE = "change the key as docs/settlement.md says, for the registry has to know the new one"


class Signer:
    """Signs with the key in a directory; its public half goes into the registry, under `signers`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw().hex()
        """32 bytes in hexadecimal."""

    @classmethod
    def create_or_open(cls, directory: Path) -> Signer:
        """The signer of this directory; its key is made at first use.

        Raises PermissionError where others may read the key, OSError for a file that holds none.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / FILE
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            secret_file.create(path, pem)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Signer:
        """The signer of a key file: PKCS #8 in PEM. Raises as `create_or_open` does."""
        if (mode := path.stat().st_mode & 0o777) & 0o077:
            expected = f"expected {path} to be readable by its owner alone (mode 0600), got {mode:04o}"
            raise PermissionError(f"{expected}: chmod 600; if others may have read it, {_CHANGE}")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            message = f"{path}: expected an Ed25519 key in PEM, got something else; without the file a new one is made"
            raise OSError(f"{message}, and the registry has to know it")
        return cls(key)

    def sign(self, text: bytes) -> str:
        """The signature, 64 bytes in hexadecimal."""
        return self._key.sign(text).hex()
