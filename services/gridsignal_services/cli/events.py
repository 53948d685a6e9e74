"""`gridsignal events`: what happened, from the records of a log: why was this order voided?"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gridsignal.__main__ import FAILED, OK
from gridsignal.cli.arguments import Arguments, identifier
from gridsignal.cli.tables import printable, when
from gridsignal_schemas.values import rfc3339
from gridsignal_services.audit.whole import WholeLog
from gridsignal_services.bus.codec import Poison
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.cli.whole_log import whole_log
from gridsignal_services.event_log import EVENTS
from gridsignal_services.ledger.entry import entry_of
from gridsignal_services.ledger.reduce import Ledger
from gridsignal_services.ledger.tree import leaf_of
from gridsignal_services.owning.happened import Happened, happened

_TOLD = sorted(name for name, row in EVENTS.items() if row.door is None and row.of != "MeterReading")
EXAMPLE = """\
examples:
  gridsignal events ORDER_ID
  gridsignal events --zone DE-LU --event voided --json

It reads the log in a folder, also while it runs, or where the settings name brokers the one there, and tells the events
of docs/events.md; with an id those about this request, offer, order or settlement. `audit explain` tells more of an
offer: why it won or lost.
Exit codes: 0 told, 1 nothing is about this id, 2 it can't be done so, 3 the log can't be read now: try again.
"""


class _Line(NamedTuple):
    appended_us: int
    partition: int
    offset: int
    at: datetime
    what: Happened


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(prog="gridsignal events", description="Tell what happened, from the log.", epilog=EXAMPLE)
    arguments.add_argument(
        "id", nargs="?", type=identifier, metavar="ID", help="of a request, offer, order, settlement"
    )
    arguments.add_argument("--zone", type=identifier, metavar="ZONE", help="of this zone alone")
    arguments.add_argument("--event", choices=_TOLD, metavar="EVENT", help=", ".join(_TOLD))
    arguments.add_argument("--directory", type=Path, metavar="DIR", help="the log's (default: gridsignal-data)")
    arguments.add_argument("--json", action="store_true", help="one JSON object a line")
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 told, 1 where nothing is about the id, 2 where it can't be done so, 3 where the log can't be read now."""
    told = 0
    try:
        with whole_log(args) as whole:
            of_each = [_events(whole, partition) for partition in whole.partitions(args.zone)]
            for line in heapq.merge(*of_each, key=lambda line: line[:3]):
                if _is_wanted(args, line.what):
                    print(_as_json(line) if args.json else _for_people(line))
                    told += 1
    except BrokenPipeError:
        raise
    except REPORTED as error:
        return failed("events", error)
    if args.id is not None and not told:
        print(f"gridsignal events: nothing on the log is about {args.id}", file=sys.stderr)
        return FAILED
    return OK


def _events(whole: WholeLog, partition: int) -> Iterator[_Line]:
    ledger = Ledger(partition)
    for logged in whole.log.records("dispatch", partition):
        try:
            record = whole.codec.decode(logged.value)
        except Poison:
            ledger.skip(logged.offset, leaf_of(logged))
            continue
        entry = entry_of(logged, record)
        outcome = ledger.apply(entry)
        ledger.forgotten.clear()
        what = happened(ledger, record, outcome, entry.principal)
        if what is not None and ledger.now is not None:
            yield _Line(logged.appended_us, partition, logged.offset, ledger.now, what)


def _is_wanted(args: argparse.Namespace, what: Happened) -> bool:
    return (
        args.zone in (None, what.fields.get("zone"))
        and args.event in (None, what.name)
        and (args.id is None or what.names(args.id))
    )


def _as_json(line: _Line) -> str:
    head = {"at": rfc3339(line.at), "event": line.what.name, "by": line.what.by}
    why = {"why": line.what.why} if line.what.why else {}
    return json.dumps(head | dict(line.what.fields) | why)


def _for_people(line: _Line) -> str:
    fields = dict(line.what.fields)
    zone = str(fields.pop("zone", ""))
    told = " ".join(f"{name}={value}" for name, value in fields.items() if value != "")
    why = f": {line.what.why}" if line.what.why else ""
    at = when(line.at, zone, seconds=True)
    return printable(f"{at}  {zone:<6}  {line.what.name:<16}  {told}  by {line.what.by}{why}")
