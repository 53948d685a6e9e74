"""What an answer that holds no figures says for itself: errors in JSON, titles of web pages, whatever its status."""

from __future__ import annotations

import json
import re
from enum import Enum

TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_NAMES = ("error", "title", "error_description", "detail", "message", "reason")
_SEARCHED = 64 << 10


class Cause(Enum):
    """Why there are no figures, where it can be told from words."""

    TOO_OFTEN = re.compile(
        r"too many requests|rate.?limit|quota|throttl|requests per (?:second|minute|hour|day)|\b429\b", re.IGNORECASE
    )
    AWAY = re.compile(
        r"bad gateway|gateway time-?out|unavailable|maintenance|internal server error|try again later|overloaded"
        r"|\b50[0234]\b",
        re.IGNORECASE,
    )
    NOT_ENTITLED = re.compile(
        r"unauthori[sz]ed|not authori[sz]ed|forbidden|access denied|subscription"
        r"|(?:invalid|expired|missing|wrong)\b.{0,20}\b(?:token|key|credentials)",
        re.IGNORECASE,
    )


def cause_in(said: str) -> Cause | None:
    """The first cause that words name."""
    return next((cause for cause in Cause if cause.value.search(said)), None)


def said_in(body: bytes) -> str:
    """What a JSON body says of an error, to be told after its status; empty where it has none of the usual shapes."""
    try:
        fields = json.loads(body) if body.lstrip().startswith(b"{") else {}
    except (ValueError, RecursionError):
        return ""
    several = fields.get("errors")
    inner = (fields.get("error"), *(several[:3] if isinstance(several, list) else ()))
    found = [str(one[name]) for one in (fields, *inner) if isinstance(one, dict) for name in _NAMES if one.get(name)]
    texts = [*found, *(one for one in inner[1:] if isinstance(one, str))]
    return _after_colon("; ".join(text for text in texts if not text.startswith("{")))


def titled(body: bytes) -> str:
    """The same of a web page: its title."""
    title = TITLE.search(body[:_SEARCHED])
    return _after_colon(title[1].decode("utf-8", "replace")) if title and body.lstrip().startswith(b"<") else ""


def _after_colon(text: str) -> str:
    words = " ".join(text.split())
    return f": {words:.160}" if words else ""
