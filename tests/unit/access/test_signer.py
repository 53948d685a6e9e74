"""The key that tree heads are signed with: made once, its owner's alone, and never replaced unasked."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gridsignal_services.access.signer import FILE, Signer


def test_the_key_is_made_at_first_use_and_stays(tmp_path: Path) -> None:
    first = Signer.create_or_open(tmp_path / "data")
    assert Signer.create_or_open(tmp_path / "data").public_key == first.public_key
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "data").iterdir()] == [FILE]


def test_what_it_signs_is_verified_with_the_public_key(tmp_path: Path) -> None:
    signer = Signer.create_or_open(tmp_path)
    signature = bytes.fromhex(signer.sign(b"text"))
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer.public_key)).verify(signature, b"text")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Signer.create_or_open(tmp_path)
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(PermissionError, match=r"owner alone \(mode 0600\), got 0640: chmod 600; .* change the key as"):
        Signer.create_or_open(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_holds_no_key_is_told_and_left(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(OSError, match="expected an Ed25519 key in PEM"):
        Signer.create_or_open(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content
