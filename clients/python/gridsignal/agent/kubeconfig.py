"""How a cluster is reached: a kubeconfig's text, or what Kubernetes gives to each pod. Values, no connection.

A kubeconfig may have a token, a token's file or a client's certificate; programs that fetch credentials are not run.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gridsignal.errors import UsageError
from gridsignal.extras import needs

IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """A cluster, and who asks."""

    server: str
    authority: str | None
    """PEM; None: whom the machine trusts."""
    namespace: str
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    """Read anew each time: Kubernetes renews it."""
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


def in_cluster(env: Mapping[str, str] = os.environ, folder: Path = IN_CLUSTER) -> Access:
    """As a pod's service account. Raises UsageError outside of a cluster."""
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        if not host:
            raise FileNotFoundError
        authority, namespace = ((folder / name).read_text("utf-8") for name in ("ca.crt", "namespace"))
    except OSError:
        raise UsageError(
            "kubernetes: expected a kubeconfig, or to run as a pod's service account, got neither"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    return Access(f"https://{shown}:{port}", authority, namespace.strip(), token_file=folder / "token")


def kubeconfig(file: Path, context: str | None = None) -> Access:
    """Of a file, its current context or another. Raises UsageError."""
    try:
        import yaml  # a pod does without
    except ModuleNotFoundError as missing:
        raise UsageError(needs("a kubeconfig", missing.name, "kubernetes")) from None
    try:
        told = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:  # its own words quote the line, and a token in it
        at = getattr(wrong, "problem_mark", None)
        where = f"line {at.line + 1}, column {at.column + 1}: " if at is not None else ""
        raise UsageError(f"{file}: {where}expected a kubeconfig in YAML") from None
    try:
        return _access(told, context, file.parent)
    except OSError as error:
        raise UsageError(f"{error.filename or file}: {error.strerror}") from None
    except KeyError as missing:
        raise UsageError(f"{file}: expected a kubeconfig, got none of {missing}") from None
    except (TypeError, AttributeError, UnicodeDecodeError, binascii.Error) as wrong:
        raise UsageError(f"{file}: expected a kubeconfig: {type(wrong).__name__}") from None
    except ValueError as wrong:
        raise UsageError(f"{file}: {wrong}") from None


def _access(told: dict[str, Any], name: str | None, folder: Path) -> Access:
    context = _named(told, "contexts", name or told["current-context"])["context"]
    cluster = _named(told, "clusters", context["cluster"])["cluster"]
    user = _named(told, "users", context["user"]).get("user") or {}
    if unknown := {"exec", "auth-provider", "username"} & user.keys():
        raise ValueError(f"expected a token, tokenFile or a client certificate, got {', '.join(sorted(unknown))}")
    server = urlsplit(str(cluster["server"]))
    if server.scheme != "https" or "@" in server.netloc or cluster.get("insecure-skip-tls-verify"):
        shown = f"{server.scheme}://{server.netloc.rpartition('@')[2]}"
        raise ValueError(f"expected a server by https that is verified, without a password in it, got {shown}")
    authority = _part(cluster, "certificate-authority", folder)
    token_file = user.get("tokenFile")
    return Access(
        str(cluster["server"]).rstrip("/"),
        None if authority is None else authority.decode(),
        str(context.get("namespace", "default")),
        user.get("token"),
        None if token_file is None else folder / token_file,
        _part(user, "client-certificate", folder),
        _part(user, "client-key", folder),
    )


def _named(told: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for each in told.get(kind) or ():
        if each["name"] == name:
            return dict(each)
    raise ValueError(f"expected {name!r:.80} among {kind}, got {[each['name'] for each in told.get(kind) or ()][:10]}")


def _part(table: dict[str, Any], name: str, folder: Path) -> bytes | None:
    """PEM that stands there, or in a file beside."""
    if data := table.get(f"{name}-data"):
        return base64.b64decode(data, validate=True)
    return (folder / table[name]).read_bytes() if name in table else None
