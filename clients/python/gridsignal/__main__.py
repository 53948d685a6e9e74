"""The command `gridsignal`: a table of commands, each loaded when it is used.

Standard library only, so that `gridsignal --help` answers at once and the base install has it. A command is a module
with `parser() -> argparse.ArgumentParser` and `run(args) -> int`.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration, 3 unavailable (try again), 130 interrupted.
Who no longer reads the output ends a command with 1, SIGTERM as it ends any process (a shell says 143).
"""

from __future__ import annotations

import argparse
import codecs
import errno
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType

from gridsignal.extras import needs
from gridsignal.version import __version__

OK, FAILED, USAGE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table."""

    name: str
    module: str
    extra: str
    """The extra of the distribution that brings what it needs."""
    summary: str


GROUPS: dict[str, tuple[Command, ...]] = {
    "for a data center": (
        Command("watch", "gridsignal.cli.watch", "cli", "follow prices, carbon, alerts, requests, orders"),
        Command("whoami", "gridsignal.cli.whoami", "cli", "whose token this is, and whether the gateway takes it"),
        Command(
            "baseline",
            "gridsignal_services.cli.baseline",
            "cli",
            "what a site draws if nobody asks, declared or from history",
        ),
        Command("offer", "gridsignal.cli.offer", "cli", "offer flexible load, withdraw it, see where it stands"),
        Command("respond", "gridsignal.cli.respond", "cli", "accept or refuse an order, report how it goes"),
        Command("key", "gridsignal.cli.key", "cli,signing", "make a key to sign with, or show its public half"),
        Command("meter", "gridsignal.cli.meter", "cli", "report what a meter showed"),
        Command("agent", "gridsignal.cli.agent", "agent", "turn orders into watts, and prove it"),
        Command("report", "gridsignal_services.cli.report", "server", "a month's energy, matched hour by hour"),
    ),
    "for a grid operator": (
        Command("request", "gridsignal_services.cli.request", "server", "ask for power, read the book, clear it"),
        Command("sites", "gridsignal_services.cli.sites", "server", "the connection points that you may see"),
        Command("area", "gridsignal_services.cli.area", "server", "areas of the grid: limits, and what is committed"),
        Command("order", "gridsignal_services.cli.order", "server", "orders, what was delivered, their end"),
        Command("alert", "gridsignal_services.cli.alert", "server", "issue, clear, acknowledge alerts; who has heard"),
        Command("prices", "gridsignal_services.cli.prices", "server", "prices and carbon of a period, as known"),
        Command("totals", "gridsignal_services.cli.totals", "server", "asked, offered, delivered and paid, added up"),
        Command("clear", "gridsignal_services.cli.clear", "solver", "clear zones and periods of a file together"),
        Command("settle", "gridsignal_services.cli.settle", "server", "what orders came to, disputed, or from a file"),
        Command(
            "regulation",
            "gridsignal_services.cli.regulation",
            "cli",
            "send a regulation signal, score how one was followed",
        ),
        Command("statement", "gridsignal_services.cli.statement", "server", "what a month's orders came to, to print"),
    ),
    "for who runs it": (
        Command("up", "gridsignal_services.cli.up", "server", "the whole stack in one process, on one folder"),
        Command("serve", "gridsignal_services.cli.serve", "kafka", "one door as a service of its own, on Kafka"),
        Command("doctor", "gridsignal_services.cli.doctor", "server", "what is wrong on this machine, and what to do"),
        Command("demo", "gridsignal_services.cli.demo", "server", "a real day with three data centers, summed up"),
        Command("ingest", "gridsignal_services.cli.ingest", "server", "fetch market and carbon feeds"),
        Command("push", "gridsignal_services.cli.push", "server", "push prices, carbon or alerts from a file"),
        Command("replay", "gridsignal_services.cli.replay", "server", "publish recorded days of prices and carbon"),
        Command("token", "gridsignal_services.cli.token", "server", "mint a token of the local issuer"),
        Command("check-config", "gridsignal_services.cli.check_config", "server", "validate a registry file"),
        Command("log", "gridsignal_services.cli.log", "server", "the embedded log: its size, backup, restore, space"),
        Command("events", "gridsignal_services.cli.events", "server", "what happened: why was this order voided?"),
        Command("audit", "gridsignal_services.cli.audit", "server", "prove what is on the log, and check proofs"),
        Command("topics", "gridsignal_services.cli.topics", "kafka", "the topics of the log"),
        Command("schemas", "gridsignal_services.cli.schemas", "server", "the schemas of the records"),
    ),
}
_EXTRA_OF = {"aiokafka": "kafka", "highspy": "solver", "redis": "redis"}
"""Modules that a command may need for what it is asked, and not for the rest."""
COMMANDS = {command.name: command for group in GROUPS.values() for command in group}
_ESCAPED = "gridsignal.escaped"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Nothing more goes into the file that the output leads to."""
EXAMPLE = "example:\n  gridsignal watch prices --zone DE-LU"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    _use_any_output()
    try:
        try:
            return _done(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()  # where it can't be written we hear of it, and not Python after us
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _write_no_more()
        return FAILED
    except OSError as error:
        if error.filename is not None:  # a path that was typed: the output has none
            paths = import_module("gridsignal.cli.paths")
            print(f"gridsignal: {paths.sentence(error)}", file=sys.stderr)
            code: int = paths.code(error)
            return code
        if error.errno not in _FULL:
            raise
        print(f"gridsignal: the output can't be written: {error.strerror}", file=sys.stderr)
        _write_no_more()
        return FAILED


def _done(argv: Sequence[str]) -> int:
    try:
        given = [_as_utf8(word) for word in argv]
    except UnicodeDecodeError as error:
        print(f"gridsignal: expected words in UTF-8, got {error.object!r:.200}", file=sys.stderr)
        return USAGE
    if not given or given[0] in ("-h", "--help", "help"):
        print(table())
        return OK if given else USAGE
    if given[0] in ("-V", "--version"):
        print(f"gridsignal {__version__}")
        return OK
    name, rest = given[0], given[1:]
    return completion(rest) if name == "completion" else run(name, rest)


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at exit


def _as_utf8(word: str) -> str:
    """A word as it was typed: what the locale's encoding does not know, Python hands over as bytes in disguise."""
    if any("\ud800" <= character <= "\udfff" for character in word):
        return os.fsencode(word).decode("utf-8")
    return word


def _use_any_output() -> None:
    """What a terminal can't show is written as an escape, and a stream that was closed before us is nowhere."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, so that no file of ours does
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process lives
        elif isinstance(stream, TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What a terminal can't show, as JSON writes it: a line of JSON stays one."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escaped)


def run(name: str, rest: list[str]) -> int:
    """Loads a command and runs it."""
    command = COMMANDS.get(name)
    if command is None:
        return _wrong(f"expected a command, got {name!r}; `gridsignal --help` lists them")
    try:
        module = import_module(command.module)
        code: int = module.run(module.parser().parse_args(rest))
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("gridsignal"):
            raise  # ours: no extra brings it
        extra = command.extra if command.extra == "agent" else _EXTRA_OF.get(missing.name or "", command.extra)
        what_helps = needs(name, missing.name, extra)
        if not {"-h", "--help"}.isdisjoint(rest):
            print(f"usage: gridsignal {name} [...]\n\n{command.summary}\n\nIts own help: {what_helps}")
            return OK
        return _wrong(what_helps)
    return code


def table() -> str:
    """The help of the whole: commands in groups."""
    lines = ["usage: gridsignal COMMAND [...]", "", "The wire between power grids and data centers."]
    width = max(map(len, COMMANDS)) + 2
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {command.name:<{width}}{command.summary}" for command in commands)]
    lines += ["", "and:", f"  {'completion':<{width}}the completion script of a shell: bash or zsh"]
    lines += [f"  {'--version':<{width}}the version", "", "`gridsignal COMMAND --help` tells more.", "", EXAMPLE]
    return "\n".join(lines)


def completion(rest: list[str]) -> int:
    """Prints the completion script of a shell, for the commands that are installed."""
    arguments = argparse.ArgumentParser(
        prog="gridsignal completion",
        description="Print the completion script of a shell.",
        epilog='example:\n  eval "$(gridsignal completion bash)"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("shell", choices=("bash", "zsh"), metavar="SHELL", help="bash or zsh")
    shell = arguments.parse_args(rest).shell
    try:
        shtab = import_module("shtab")
    except ModuleNotFoundError:
        return _wrong(needs("completion", "shtab", "cli"))
    print(shtab.complete(_whole(), shell=shell))
    return OK


def _whole() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="gridsignal")
    whole.add_argument("-V", "--version", action="store_true", help="the version")
    commands = whole.add_subparsers(dest="command")
    for command in COMMANDS.values():
        if (module := _installed(command)) is not None:
            commands.add_parser(command.name, help=command.summary, parents=[module.parser()], add_help=False)
    shells = commands.add_parser("completion", help="the completion script of a shell")
    shells.add_argument("shell", choices=("bash", "zsh"))
    return whole


def _installed(command: Command) -> ModuleType | None:
    try:
        return import_module(command.module)
    except ModuleNotFoundError:
        return None


def _wrong(message: str) -> int:
    print(f"gridsignal: {message}", file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
