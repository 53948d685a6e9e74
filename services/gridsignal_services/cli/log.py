"""`gridsignal log`: what the embedded log holds and takes on disk, its backup and restore, its compaction."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from gridsignal.__main__ import OK
from gridsignal.cli.arguments import Arguments, give_examples
from gridsignal.cli.tables import show_rows, when
from gridsignal_schemas.values import rfc3339
from gridsignal_services.bus.sqlite_keeping import LogSize, TopicSize, back_up, compact, measure, restore
from gridsignal_services.cli.failing import REPORTED, failed
from gridsignal_services.cli.progress import Progress
from gridsignal_services.settings import ServerSettings

EXAMPLE = """\
examples:
  gridsignal log stat
  gridsignal log stat --directory /var/lib/gridsignal --json
  gridsignal log export backup.db
  gridsignal log import backup.db --directory restored
  gridsignal log compact

`stat` and `export` may run beside `gridsignal up`; a backup is one moment of the log, checked and durable.
`import` restores a backup into a directory that has no log yet. Clients then start from the present state, since the
backup lacks what was logged after it; --same-log says that nothing was, as when a log moves to another machine.
A backup holds the log alone. Keys, tokens and the registry are files beside it: copy the folder's `issuer` for tokens
that were given out to go on, and start `up` with the same registry.
`compact` lets go of what is older than its topic's retention and returns all free space. What the ledger rests on is
kept for ever.
Exit codes: 0 done, 2 it can't be done so, 3 the file can't be read or written now: try again.
"""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal log",
        description="Look after the embedded log: its size, its backup, its space.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action", required=True, metavar="ACTION")
    stat = actions.add_parser("stat", help="what it holds, for how long it is kept, what it takes on disk")
    export = actions.add_parser("export", help="write a backup into one new file, also while it runs")
    export.add_argument("file", type=Path, metavar="FILE", help="the backup; must not be there yet")
    restoring = actions.add_parser("import", help="restore a backup into a directory without a log")
    restoring.add_argument("file", type=Path, metavar="FILE", help="the backup")
    same = "nothing was logged after the backup: readers may go on where they were"
    restoring.add_argument("--same-log", action="store_true", help=same)
    compacting = actions.add_parser("compact", help="let go of what is too old and give free space back")
    for action in (stat, export, restoring, compacting):
        action.add_argument("--directory", type=Path, metavar="DIR", help="the log's (default: gridsignal-data)")
        action.add_argument("--json", action="store_true", help="one object")
    give_examples(actions, EXAMPLE)
    return arguments


def run(args: argparse.Namespace) -> int:
    """0 when done, 2 where it can't be done like this, 3 where the file can't be read or written now."""
    try:
        directory = ServerSettings.from_environment(os.environ, directory=args.directory).directory
        result = _done(args, directory)
    except REPORTED as error:
        return failed(f"log {args.action}", error)
    if args.json:
        print(json.dumps(result))
    return OK


def _done(args: argparse.Namespace, directory: Path) -> dict[str, object]:
    progress, said = Progress(), print if not args.json else _nothing
    match args.action:
        case "stat":
            size = measure(directory)
            if not args.json:
                _show(directory, size)
            return {"directory": str(directory), **_plain(size)}
        case "export":
            written = back_up(directory, args.file, progress.tell)
            progress.end()
            said(f"{args.file}: the log of {directory}, {_bytes(written)}")
            return {"directory": str(directory), "file": str(args.file), "bytes": written}
        case "import":
            size = restore(args.file, directory, progress.tell, same=args.same_log)
            progress.end()
            said(f"{directory}: the log of {args.file}, {sum(topic.records for topic in size.topics)} records")
            return {"directory": str(directory), "file": str(args.file), **_plain(size)}
        case _:
            before, after = compact(directory)
            said(f"{directory}: {_bytes(before.file_bytes)} before, {_bytes(after.file_bytes)} now")
            return {"directory": str(directory), "before": _plain(before), "after": _plain(after)}


def _nothing(_: str) -> None:
    """JSON says it."""


def _show(directory: Path, size: LogSize) -> None:
    rows = [
        (topic.topic, str(topic.records), when(topic.oldest, ""), when(topic.newest, ""), _kept(topic))
        for topic in size.topics
    ]
    show_rows(f"the log in {directory}", ("topic", "records", "oldest", "newest", "kept"), rows)
    print("oldest, newest: when the log had it, by its own clock: this machine's, also where `up --speed` is set")
    print(f"on disk: {_bytes(size.file_bytes)}, {_bytes(size.free_bytes)} of it free; {_ahead(size)}")


def _kept(topic: TopicSize) -> str:
    return f"{topic.kept_days} days" if topic.kept_days else "for ever"


def _ahead(size: LogSize) -> str:
    return f"{_bytes(size.write_ahead_bytes)} of write-ahead file"


def _plain(size: LogSize) -> dict[str, object]:
    return {
        "epoch": size.epoch,
        "file_bytes": size.file_bytes,
        "free_bytes": size.free_bytes,
        "write_ahead_bytes": size.write_ahead_bytes,
        "topics": [
            {
                "topic": topic.topic,
                "records": topic.records,
                "oldest": None if topic.oldest is None else rfc3339(topic.oldest),
                "newest": None if topic.newest is None else rfc3339(topic.newest),
                "kept_days": topic.kept_days or None,
            }
            for topic in size.topics
        ],
    }


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
