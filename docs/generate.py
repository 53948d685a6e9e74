#!/usr/bin/env python3
"""Writes the generated parts of the documentation again: `make docs`. A test holds them to the code.

A generated part of a Markdown file lies between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from docs import asyncapi, boards  # noqa: E402 - the script is started by its path
from gridsignal_schemas.avro_bytes import newest  # noqa: E402 - as above
from gridsignal_schemas.catalog import TOPICS, Topic, avro_schema  # noqa: E402 - as above
from gridsignal_schemas.codes import CODES, Code, met_at  # noqa: E402 - as above
from gridsignal_schemas.frames import CLIENT_FRAMES, CLOSE_CODES, SERVER_FRAMES, Frame  # noqa: E402 - as above
from gridsignal_schemas.records import RECORD_OF_FRAME, ROWS, Row  # noqa: E402 - as above
from gridsignal_schemas.rules.lifecycle import OFFER, ORDER, REQUEST, SETTLEMENT  # noqa: E402 - as above
from gridsignal_schemas.rules.limits import Limits  # noqa: E402 - as above
from gridsignal_schemas.rules.products import Bounds, Span  # noqa: E402 - as above
from gridsignal_services.event_log import EVENTS, EventRow  # noqa: E402 - as above
from gridsignal_services.gateway.settings import GatewaySettings  # noqa: E402 - as above
from gridsignal_services.ingest.limits import IngestLimits  # noqa: E402 - as above
from gridsignal_services.limits import LIMIT_TYPES  # noqa: E402 - as above
from gridsignal_services.products import SHIPPED  # noqa: E402 - as above
from gridsignal_services.rest.limits import RestLimits  # noqa: E402 - as above
from gridsignal_services.settings import ServerSettings  # noqa: E402 - as above

PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def version() -> str:
    """The project's version, as pyproject.toml says it."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def _table(*rows: tuple[str, ...]) -> str:
    head, *rest = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, tuple("---" for _ in head), *rest)) + "\n"


def _retention(topic: Topic) -> str:
    return f"{topic.retention_days} days" if topic.retention_days else "for ever"


def topics() -> str:
    """All topics: what they carry and how long they keep it."""
    return _table(
        ("stream", "topic", "records", "partitions", "kept", "subscribable", "conflates in `latest`", "flushed"),
        *(
            (
                topic.stream,
                f"`{topic.name}`",
                ", ".join(topic.records),
                str(topic.partitions),
                _retention(topic),
                "yes" if topic.subscribable else "no",
                "yes" if topic.conflates else "no",
                "every message" if topic.flush_every_message else "by the broker",
            )
            for topic in TOPICS.values()
        ),
    )


_WORD_OF = {
    "participant": "the data center",
    "operator": "the operator",
    "feed": "the feed",
    "services": "the services",
}
_SEEN_BY = {
    "zone": "everybody entitled to its zone",
    "invited": "whom the request is for, and its operator",
    "site": "the site it is addressed to, and the operator",
    "own": "the site it is addressed to",
    None: "",
}


def _word_of(row: Row) -> str:
    by = _WORD_OF[row.word_of] + (", also by a feed" if row.by_feeds else "")
    return f"{by}, by `{row.frame}`" if row.frame else by


def records() -> str:
    """All records: what they say, whose word they are, who is sent them, and where schema and examples lie."""
    return _table(
        ("record", "says", "stream", "whose word", "sent to", "examples"),
        *(
            (
                f"[{record}](gridsignal_schemas/avro/{record}.avsc)",
                " ".join(str(avro_schema(record)["doc"]).split()),
                topic.stream,
                _word_of(ROWS[record]),
                _SEEN_BY[ROWS[record].seen_by],
                f"[ordinary](gridsignal_schemas/examples/{record}.ordinary.json), "
                f"[nasty](gridsignal_schemas/examples/{record}.nasty.json)",
            )
            for topic in TOPICS.values()
            for record in topic.records
        ),
    )


def signed_schemas() -> str:
    """What a participant may sign, and the schema of each by its fingerprint."""
    return _table(
        ("frame", "record", "`schema`"),
        *((f"`{frame}`", record, f"`{newest(record)}`") for frame, record in RECORD_OF_FRAME.items()),
    )


def close_codes() -> str:
    """What a client does after each close code."""
    return _table(
        ("code", "meaning", "reconnect", "resume"),
        *(
            (str(code), then.meaning, "yes" if then.reconnect else "no", "yes" if then.resume else "no")
            for code, then in sorted(CLOSE_CODES.items())
        ),
    )


def products() -> str:
    """The products that ship and what they lay down."""
    names = ("max_notice_s", "respond_within_s", "full_activation_s", "duration_s", "min_quantity_w")
    facts = ("rest_s", "cadence_s", "acknowledge_within_s", "telemetry_s")
    rows = []
    for product in SHIPPED.values():
        terms = product.terms
        said = [getattr(terms, name) for name in (*names, *facts)]
        shown = ("" if each is None else _bounds(each) for each in said)
        way = "" if terms is None or terms.direction is None else f"`{terms.direction}`"
        version = "" if terms is None else str(terms.version)
        rows.append((f"`{product.name}` {version}", product.text, way, *shown, product.settlement, product.baseline))
    columns = ("direction", *(f"`{name}`" for name in (*names, *facts)), "settlement", "baseline")
    return _table(("product", "what it is", *columns), *rows)


def _bounds(each: Bounds | int) -> str:
    if isinstance(each, Span) and each.least < each.most:
        return f"{each.usual} ({each})"
    return str(each)


def _code_rows(codes: Iterable[Code], *, wire: bool = False) -> Iterator[tuple[str, ...]]:
    for code in codes:
        yield f"`{code.wire if wire else code.name}`", code.meaning, code.remedy


def refusal_codes() -> str:
    """What `refused` and `error` say, and what the SDK raises for it."""
    known = [code for code in CODES.values() if {"frame", "write"} & set(code.places)]
    rows = zip(_code_rows(known, wire=True), known, strict=True)
    raised = ((*row, f"`{code.error}`" if "write" in code.places else "") for row, code in rows)
    return _table(("code", "meaning", "what to do", "the SDK raises"), *raised)


def offer_codes() -> str:
    """The rules that an offer can break."""
    return _table(("code", "meaning", "what to do"), *_code_rows(met_at("offer")))


def loss_codes() -> str:
    """Why an offer got nothing."""
    return _table(("code", "why"), *((f"`{code.name}`", code.lost) for code in CODES.values() if code.lost))


def rest_codes() -> str:
    """What the REST doors say."""
    rest = met_at("rest")
    rows = zip(_code_rows(rest), rest, strict=True)
    return _table(
        ("code", "meaning", "what to do", "409"), *((*row, "yes" if code.conflict else "") for row, code in rows)
    )


def events() -> str:
    """The event log's names."""
    return _table(
        ("`event`", "what has happened", "told by", "fields"),
        *(
            (
                f"`{name}`",
                row.says + (" At level DEBUG." if row.level == "debug" else ""),
                f"the {row.door} door" if row.door else "the owner of the zone",
                ", ".join(f"`{field}`" for field in _fields_of_event(row)),
            )
            for name, row in EVENTS.items()
        ),
    )


def _fields_of_event(row: EventRow) -> Iterator[str]:
    if row.door is None:
        yield from ("by", "zone")
    yield from row.fields
    if row.about is not None:
        yield "state"


def _fields(frame: type[Frame]) -> str:
    fields = [(field.alias or name, field) for name, field in frame.model_fields.items() if name != "t"]
    return ", ".join(f"`{name}`" if field.is_required() else f"`{name}`?" for name, field in fields)


def frames() -> str:
    """All frames of both sides with their fields."""
    sides = (("C>S", CLIENT_FRAMES), ("S>C", SERVER_FRAMES))
    return _table(
        ("way", "`t`", "fields (`?` may be absent)"),
        *((way, f"`{name}`", _fields(frame)) for way, known in sides for name, frame in known.items()),
    )


def _variables(shape: type, prefix: str, *, limits: bool = False) -> str:
    """A table of a dataclass's fields as environment variables; with `limits`, of its numbers alone."""
    found = _described(shape, prefix, limits=limits)
    marked = [
        (f"`{name}`", f"`{default}`" if default else "", told.replace("|", "or")) for name, default, told in found
    ]
    return _table(("variable", "default", "meaning"), *marked)


def ledger_limits() -> str:
    """The constants of the ledger; they are no settings."""
    return _table(("what", "bound", "meaning"), *((f"`{n.lower()}`", d, told) for n, d, told in _described(Limits, "")))


def _described(shape: type, prefix: str, *, limits: bool = False) -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of a dataclass's fields."""
    defaults = {
        spot.name: spot
        for spot in dataclasses.fields(shape)
        if not limits or (spot.type in LIMIT_TYPES and spot.name != "port")
    }
    described = ast.parse(inspect.getsource(shape)).body[0]
    assert isinstance(described, ast.ClassDef)
    rows, body = [], described.body
    for field, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if (spot := defaults.get(field.target.id)) is None or spot.default is dataclasses.MISSING:
            continue
        told = following.value if isinstance(following, ast.Expr) else None
        text = " ".join(str(told.value).split()) if isinstance(told, ast.Constant) else ""
        rows.append((f"{prefix}{spot.name.upper()}", "" if spot.default in (None, ()) else str(spot.default), text))
    return rows


def environment() -> str:
    """An environment file with every setting, each commented out at its default."""
    lines = [
        "# Every setting of the doors and its default; `make docs` writes this file, docs/settings.md has the limits.",
        "",
    ]
    for variable, default, told in _described(ServerSettings, "GRIDSIGNAL_"):
        lines += [f"# {told}"] if told else []
        lines += [f"#{variable}={default}", ""]
    return "\n".join(lines)


def _diagram(table: Mapping[tuple[StrEnum, StrEnum], StrEnum]) -> str:
    moves = [f"  {before} --> {after}: {event}" for (before, event), after in table.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *moves, "```"]) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "request-lifecycle": lambda: _diagram(REQUEST),
    "offer-lifecycle": lambda: _diagram(OFFER),
    "order-lifecycle": lambda: _diagram(ORDER),
    "settlement-lifecycle": lambda: _diagram(SETTLEMENT),
    "products": products,
    "topics": topics,
    "records": records,
    "signed-schemas": signed_schemas,
    "close-codes": close_codes,
    "refusal-codes": refusal_codes,
    "offer-codes": offer_codes,
    "loss-codes": loss_codes,
    "rest-codes": rest_codes,
    "frames": frames,
    "events": events,
    "server-settings": lambda: _variables(ServerSettings, "GRIDSIGNAL_"),
    "gateway-limits": lambda: _variables(GatewaySettings, "GRIDSIGNAL_GATEWAY_", limits=True),
    "ledger-limits": ledger_limits,
    "ingest-limits": lambda: _variables(IngestLimits, "GRIDSIGNAL_INGEST_", limits=True),
    "rest-limits": lambda: _variables(RestLimits, "GRIDSIGNAL_DISPATCH_", limits=True),
}


def filled(text: str) -> str:
    """A Markdown file with its generated parts made anew; KeyError for a part nobody makes."""
    return PART.sub(lambda part: f"{part[1]}{PARTS[part['name']]()}{part[4]}", text)


def wanted() -> dict[Path, str]:
    """Every file with generated parts, and what it should hold."""
    pages = {ROOT / "README.md", *(ROOT / "schemas").glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    found = {page: page.read_text("utf-8") for page in sorted(pages) if page.exists()}
    files = {page: filled(text) for page, text in found.items() if PART.search(text)}
    files[ROOT / "schemas" / "asyncapi.json"] = asyncapi.text(version())
    files[ROOT / "deploy" / "env.example"] = environment()
    files |= dict(boards.files())
    return files


def outdated() -> list[str]:
    """The files that do not hold what they should, by their paths in the repository."""
    return [
        path.relative_to(ROOT).as_posix()
        for path, text in wanted().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def main() -> int:
    changed = outdated()
    for path, text in wanted().items():
        path.write_text(text, "utf-8")
    print("\n".join(f"wrote {name}" for name in changed) or "all generated parts are current")
    return 0


if __name__ == "__main__":
    sys.exit(main())
