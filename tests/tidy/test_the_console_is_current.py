"""What the door serves as the console was built from the sources beside it; `make console` builds it."""

from __future__ import annotations

import gzip
import hashlib

from gridsignal_services.console.pages import SERVED
from tests.tidy.sources import ROOT

SOURCES = ROOT / "clients/console"
BUILT = ROOT / "services/gridsignal_services/console/served"
MOST_BYTES = 300 * 1024


def sources_hash() -> str:
    """As clients/console/build.mjs makes it."""
    found = [path.relative_to(SOURCES).as_posix() for path in (SOURCES / "src").rglob("*") if path.is_file()]
    hashed = hashlib.sha256()
    for name in sorted([*found, "build.mjs", "package-lock.json", "tsconfig.json"]):
        hashed.update(name.encode() + b"\0" + (SOURCES / name).read_bytes() + b"\0")
    return hashed.hexdigest()


def test_what_is_served_was_built_from_these_sources() -> None:
    assert (BUILT / "sources.sha256").read_text("ascii").strip() == sources_hash(), "run `make console`"


def test_the_page_is_small_whole_and_asks_nobody_else() -> None:
    texts = {name: (BUILT / name).read_bytes() for name in SERVED}
    assert sum(len(gzip.compress(text, 9)) for text in texts.values()) < MOST_BYTES
    assert b"<script>" not in texts["index.html"]
    assert b"style=" not in texts["index.html"]
    assert {path.name for path in BUILT.iterdir()} == {*SERVED, "sources.sha256", "licences.txt"}
    for name in ("index.html", "console.css"):
        assert b"//" not in texts[name].replace(b"http://www.w3.org/2000/svg", b"").replace(b"/*", b"").replace(
            b"*/", b""
        )
