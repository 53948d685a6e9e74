"""The options of TLS that all commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

ALLOW = "GRIDSIGNAL_ALLOW_PLAINTEXT=1"


def add_tls_options(group: Any) -> None:
    """Whom to trust and what to show; each can come from the environment."""
    group.add_argument(
        "--ca", type=Path, metavar="FILE", help="trust this private certificate authority too (default: GRIDSIGNAL_CA)"
    )
    group.add_argument(
        "--cert", type=Path, metavar="FILE", help="the client certificate to show (default: GRIDSIGNAL_CERT)"
    )
    group.add_argument(
        "--cert-key", type=Path, metavar="FILE", help="its key, if not in the same file (default: GRIDSIGNAL_CERT_KEY)"
    )


def files_of(args: argparse.Namespace) -> dict[str, Path | None]:
    """`cafile`, `certfile` and `keyfile` as the options or the environment name them."""
    named = {"cafile": "ca", "certfile": "cert", "keyfile": "cert_key"}
    return {file: getattr(args, option, None) or _from_environment(option) for file, option in named.items()}


def plaintext_allowed() -> bool:
    """Whether a token may cross a network without TLS."""
    return os.environ.get("GRIDSIGNAL_ALLOW_PLAINTEXT") == "1"


def _from_environment(name: str) -> Path | None:
    given = os.environ.get(f"GRIDSIGNAL_{name.upper()}")
    return Path(given) if given else None
