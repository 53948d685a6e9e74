"""What the commands share: the options of a connection, the grid they open, the exit code of what came of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gridsignal
from gridsignal.__main__ import FAILED, UNAVAILABLE, USAGE
from gridsignal.claims import expired
from gridsignal.cli.secure import ALLOW, add_tls_options, files_of, plaintext_allowed
from gridsignal.cli.tables import printable
from gridsignal.cli.words import NONE, Options, names_in, refusal_in
from gridsignal.history import Archive
from gridsignal.outbox import MEMORY
from gridsignal.problems import is_usage
from gridsignal.tls import context
from gridsignal.tokens import TokenFile, Tokens, checked
from gridsignal_schemas.rules.lifecycle import ORDER_OVER

DEFAULT_URL = "ws://127.0.0.1:8081"
DEFAULT_API = "http://127.0.0.1:8082"
_ANSWER_S = 15.0
_ORDERS_A_QUERY = 256
"""The most that a query may name."""


def add_url(group: Any) -> None:
    """The option that says where the gateway is."""
    group.add_argument("--url", default=os.environ.get("GRIDSIGNAL_URL", DEFAULT_URL), help="the gateway (%(default)s)")


def add_api(group: Any) -> None:
    """The option that says where the dispatch door is."""
    default = os.environ.get("GRIDSIGNAL_API", DEFAULT_API)
    group.add_argument("--api", default=default, metavar="URL", help="the dispatch door (%(default)s)")


def add_doors(group: Any) -> None:
    """The options that say where both are."""
    add_url(group)
    add_api(group)


def add_options(
    arguments: argparse.ArgumentParser, *, site: bool, address: Callable[[Any], None] = add_url, sheet: bool = False
) -> None:
    """The options of every command that talks to a door, the gateway if no other; never a token on the command line."""
    group = arguments.add_argument_group("connection")
    address(group)
    group.add_argument(
        "--token-file", type=Path, metavar="FILE", help="a file with the bearer token (default: GRIDSIGNAL_TOKEN)"
    )
    add_tls_options(group)
    if site:
        default = os.environ.get("GRIDSIGNAL_SITE") or None  # who has no site has an empty one
        group.add_argument("--site", default=default, help="your connection point (default: GRIDSIGNAL_SITE)")
        group.add_argument(
            "--signing-key", type=Path, metavar="FILE", help="sign what is sent (default: GRIDSIGNAL_SIGNING_KEY)"
        )
    forms = arguments.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="one JSON object a line, times in UTC")
    if sheet:
        forms.add_argument("--csv", action="store_true", help="CSV with a head line: times in UTC, power in watts")


def open_grid(
    args: argparse.Namespace, *, for_site: bool = False, to_read: bool = False
) -> AbstractAsyncContextManager[gridsignal.Grid]:
    """The connection these options describe. What is sent is not kept over the end of the command.

    `to_read`: for nobody's site, so that no order is acknowledged which nobody has looked at.
    Raises UsageError where the command speaks for a site and none is named.
    """
    if for_site and not args.site:
        raise gridsignal.UsageError("--site is missing (or GRIDSIGNAL_SITE).")
    files: dict[str, Any] = files_of(args)
    try:
        return gridsignal.connect(
            args.url,
            token=token_source(args.token_file),
            site=None if to_read else getattr(args, "site", None),
            outbox=MEMORY,
            limits=gridsignal.Limits(first_connect_s=5.0),
            allow_plaintext=plaintext_allowed(),
            signing_key=getattr(args, "signing_key", None) or os.environ.get("GRIDSIGNAL_SIGNING_KEY") or None,
            **files,
        )
    except gridsignal.UsageError as wrong:
        raise gridsignal.UsageError(str(wrong).replace("allow_plaintext=True", ALLOW)) from None


def archive(args: argparse.Namespace) -> Archive:
    """The dispatch door that these options describe; a command that has `--site` asks about one."""
    if not getattr(args, "site", True):
        raise gridsignal.UsageError("--site is missing (or GRIDSIGNAL_SITE).")
    tokens, secured = Tokens(token_source(args.token_file), answer_s=_ANSWER_S), context(**files_of(args))
    try:
        return Archive(args.api, tokens, context=secured, timeout_s=_ANSWER_S, allow_plaintext=plaintext_allowed())
    except gridsignal.UsageError as wrong:
        raise gridsignal.UsageError(f"--api: {str(wrong).replace('allow_plaintext=True', ALLOW)}") from None


def exit_code(work: Coroutine[None, None, int], args: argparse.Namespace, options: Options = NONE) -> int:
    """Runs a command's work; what goes wrong on the way is told on stderr, in the words that were typed."""
    try:
        return asyncio.run(work)
    except gridsignal.GridsignalError as error:
        match error:
            case gridsignal.UsageError():
                tell(names_in(str(error), options))
            case gridsignal.Refused():
                tell(refusal_in(error, options))
            case gridsignal.Unauthorized():
                tell(expired(bearer(args.token_file), datetime.now(UTC)) or str(error))
            case _:
                tell(str(error))
        return code_of(error)


def code_of(error: gridsignal.GridsignalError) -> int:
    """With which code a command ends on this error."""
    if isinstance(error, gridsignal.UsageError) or (isinstance(error, gridsignal.Refused) and is_usage(error.details)):
        return USAGE
    return UNAVAILABLE if error.retriable else FAILED


async def current(args: argparse.Namespace, stream: str, zones: list[str] | None = None) -> list[gridsignal.Message]:
    """What holds now on a stream, each thing once: its snapshot, and what was published while it came.

    A snapshot may be of a moment ago, before what a site has answered since, of which nothing is published: where
    orders stand is asked. An order of which nothing is told, such as an operator's, is shown as it was published.
    None of them is acknowledged by that.
    """
    async with open_grid(args, to_read=True) as grid:
        return await _current(grid, stream, zones)


async def _current(grid: gridsignal.Grid, stream: str, zones: list[str] | None) -> list[gridsignal.Message]:
    async with grid.subscribe(stream, zones=zones) as signals:
        reading = asyncio.create_task(_all_of(signals))
        await grid.settled()
    found = newest(await reading)
    names = [message.order_id for message in found if isinstance(message, gridsignal.DispatchOrder)]
    if not names:
        return found
    orders = {status.order.order_id: status.order for status in await grid.orders()}
    over = await _over(grid, [name for name in names if name not in orders])
    return [
        orders.get(message.order_id, message) if isinstance(message, gridsignal.DispatchOrder) else message
        for message in found
        if not isinstance(message, gridsignal.DispatchOrder) or message.order_id not in over
    ]


async def _over(grid: gridsignal.Grid, names: list[str]) -> set[str]:
    """Those of these orders that are told to be over."""
    over: set[str] = set()
    for start in range(0, len(names), _ORDERS_A_QUERY):
        states = (await grid.query(order_ids=names[start : start + _ORDERS_A_QUERY])).orders
        over |= {name for name, state in states.items() if state is not None and state.state in ORDER_OVER}
    return over


def newest(messages: Iterable[gridsignal.Message]) -> list[gridsignal.Message]:
    """Of each thing the last word, in the order in which they were first heard of; nothing of what was taken back."""
    held: dict[tuple[str, ...], gridsignal.Message] = {}
    for count, message in enumerate(messages):
        key: tuple[str, ...]
        match message:
            case gridsignal.RequestCancellation(request_id=name):
                held.pop(("request", name), None)
                continue
            case gridsignal.OrderOver(order=order):
                held.pop(("order", order.order_id), None)
                continue
            case gridsignal.DispatchRequest(request_id=name):
                key = ("request", name)
            case gridsignal.DispatchOrder(order_id=name):
                key = ("order", name)
            case gridsignal.OfferDecision(participant=whose, offer_id=name):
                key = ("offer", whose, name)  # ids are a participant's own
            case gridsignal.Settlement(settlement_id=name):
                key = ("settlement", name)
            case gridsignal.GridAlert():
                key = ("alert", message.provider, message.zone, message.alert_id)
            case gridsignal.SpotPrice() | gridsignal.CarbonIntensity():
                key = ("series", message.series_id)
            case _:
                key = ("other", str(count))
        held[key] = message
    return list(held.values())


async def _all_of(signals: gridsignal.Subscription) -> list[gridsignal.Message]:
    return [signal async for signal in signals]


def tell(message: str) -> None:
    """A line on stderr, or one for each fault; what they quote may come from anywhere."""
    print("gridsignal: " + "\n".join(map(printable, message.split("\n"))), file=sys.stderr)


def token_source(file: Path | None, named: str = "--token-file") -> str | Callable[[], str]:
    """The token of a file, which is read again for each connection, or of the environment. Raises UsageError."""
    token = bearer(file, named)
    return token if file is None else TokenFile(file, lambda path: bearer(path, named))


def bearer(file: Path | None, named: str = "--token-file") -> str:
    """The token in a file, or in GRIDSIGNAL_TOKEN. Raises UsageError, which never shows what was there instead.

    `named`: what the file was given by.
    """
    if file is not None:
        if not file.is_file():
            raise gridsignal.UsageError(f"expected a token in {named} {file}, got no such file")
        where, token = f"{named} {file}", file.read_text("utf-8", errors="replace")
    else:
        where, token = "GRIDSIGNAL_TOKEN", os.environ.get("GRIDSIGNAL_TOKEN", "").strip()
        if not token:
            raise gridsignal.UsageError(f"expected a token in GRIDSIGNAL_TOKEN or {named}, got neither")
    return checked(token, where)
