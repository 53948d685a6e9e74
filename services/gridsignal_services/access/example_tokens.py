"""Tokens to begin with: one for each organisation of a registry, by the local issuer, in files of their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from gridsignal_services.access import DISPATCH_WRITE, OFFER_WRITE, SIGNAL_READ, Role
from gridsignal_services.access.issuer import LocalIssuer

LIVES_S = 30 * 86_400


def example_token(issuer: LocalIssuer, role: Role, organisation: str, now: datetime, *more: str) -> str:
    """A token that may do what its role does, and what `more` scopes allow; good for thirty days."""
    write = DISPATCH_WRITE if role == "operator" else OFFER_WRITE
    return issuer.mint(role, organisation, "example", [SIGNAL_READ, write, *more], LIVES_S, now)


def write_tokens(
    issuer: LocalIssuer, organisations: Iterable[tuple[Role, str]], directory: Path, now: datetime
) -> dict[str, Path]:
    """A token file for each organisation, readable by its owner alone; by `role:organisation`."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = {}
    for role, organisation in organisations:
        path = directory / f"{role}-{organisation}.token"
        path.touch(mode=0o600)
        path.write_text(example_token(issuer, role, organisation, now) + "\n", encoding="ascii")
        paths[f"{role}:{organisation}"] = path
    return paths
