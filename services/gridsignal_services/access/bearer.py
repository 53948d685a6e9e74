"""The token that a request carries, by one reading at every port."""

from __future__ import annotations

from collections.abc import Sequence


def bearer_of(authorization: Sequence[str]) -> str | None:
    """The token of a request's Authorization headers.

    None without exactly one of the bearer scheme: with two, a proxy in front may have read the other one.
    """
    scheme, _, token = (authorization[0] if len(authorization) == 1 else "").partition(" ")
    return token.strip(" \t") if scheme.lower() == "bearer" else None
