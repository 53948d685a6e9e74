"""TLS as users set it: whom to trust, which certificate to show, and what it means when that fails."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

from gridsignal.errors import UsageError

_WHAT_HELPS = "a private certificate authority goes in cafile= (in the commands: --ca, GRIDSIGNAL_CA)"
_WHAT_THEY_WANT = "it asks for a client certificate: certfile= and keyfile= (in the commands: --cert, --cert-key)"
_NOBODY_KNOWN = frozenset({2, 18, 19, 20, 21, 27})
"""OpenSSL's verify codes of a chain that ends in nobody who is trusted: X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
UNABLE_TO_VERIFY_LEAF_SIGNATURE, CERT_UNTRUSTED.
"""


def context(
    cafile: str | os.PathLike[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
) -> ssl.SSLContext:
    """Trusts the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR name others) and those in `cafile`.

    Shows the certificate in `certfile`, with the key in `keyfile` or in the same file. Raises UsageError.
    """
    made = ssl.create_default_context()
    try:
        if cafile is not None:
            made.load_verify_locations(cafile)
    except (OSError, ValueError) as error:
        raise UsageError(f"expected certificates (PEM) in {_name(cafile)}, got: {_reason(error)}") from None
    if certfile is None:
        if keyfile is not None:
            raise UsageError("expected a certificate beside its key, got a key alone")
        return made
    try:
        made.load_cert_chain(certfile, keyfile, password=_no_password)
    except (OSError, ValueError, TypeError) as error:
        where = _name(certfile) + (f" and {_name(keyfile)}" if keyfile is not None else "")
        hint = "a certificate and its key (PEM, without a password)"
        raise UsageError(f"expected {hint} in {where}, got: {_reason(error)}") from None
    return made


def explained(error: BaseException) -> str | None:
    """What a failure of TLS means and what helps; None for what is no such failure. No time heals it."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate was not accepted (CERTIFICATE_VERIFY_FAILED): {_verdict(cause)}"
        if isinstance(cause, ssl.SSLError):
            return _alert(cause)
    return None


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    reason = error.verify_message or str(error)
    return f"{reason}; {_WHAT_HELPS}" if error.verify_code in _NOBODY_KNOWN else reason


def _alert(error: ssl.SSLError) -> str | None:
    text = f"{error.reason or ''} {error}".upper().replace(" ", "_")
    if "CERTIFICATE_REQUIRED" in text:
        return f"the server refused us: {_WHAT_THEY_WANT}"
    if "ALERT" in text and ("CERTIFICATE" in text or "UNKNOWN_CA" in text):
        return f"the server does not accept our certificate ({error.reason}); {_WHAT_THEY_WANT}"
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "HTTP_REQUEST" in text:
        return "the server speaks no TLS on this port (ws:// and http:// are without)"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _no_password() -> str:
    raise ValueError("the key has a password")


def _name(path: str | os.PathLike[str] | None) -> str:
    return os.fspath(path) if path is not None else ""


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
