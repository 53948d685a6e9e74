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
    group.add_argument("--key", type=Path, metavar="FILE", help="its key, if not in the same file (GRIDSIGNAL_KEY)")


def files_of(args: argparse.Namespace) -> dict[str, Path | None]:
    """`cafile`, `certfile` and `keyfile` as the options or the environment name them."""
    return {f"{name}file": getattr(args, name, None) or _from_environment(name) for name in ("ca", "cert", "key")}


def plaintext_allowed() -> bool:
    """Whether a token may cross a network without TLS."""
    return os.environ.get("GRIDSIGNAL_ALLOW_PLAINTEXT") == "1"


def _from_environment(name: str) -> Path | None:
    given = os.environ.get(f"GRIDSIGNAL_{name.upper()}")
    return Path(given) if given else None
