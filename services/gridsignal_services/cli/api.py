"""What the operator's commands share: the connection to the REST door, times as people write them, exit codes."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from gridsignal import UsageError
from gridsignal.__main__ import FAILED, UNAVAILABLE, USAGE
from gridsignal.addresses import refuse_plaintext, shown, split
from gridsignal.claims import expired
from gridsignal.cli.arguments import moment
from gridsignal.cli.connection import DEFAULT_API, add_api, bearer
from gridsignal.cli.secure import ALLOW, add_tls_options, files_of, plaintext_allowed
from gridsignal.cli.tables import period, printable
from gridsignal.cli.words import NONE, Options, in_their_words
from gridsignal.problems import Meaning, codes_of, meaning_of
from gridsignal.proxies import proxy_for
from gridsignal.tls import context, explained
from gridsignal_schemas.values import rfc3339

_ENDS = ("starts_at", "ends_at")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Failed(Exception):
    """The command can't go on; its exit code, one line about why, and the codes of the faults that a door named."""

    def __init__(self, code: int, message: str, faults: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.code, self.faults = code, faults


def add_options(arguments: argparse.ArgumentParser, *, sheet: bool = False) -> argparse._MutuallyExclusiveGroup:
    """The options of every command that talks to the REST door; never a token on the command line. Those that choose
    the output's form are returned."""
    group = arguments.add_argument_group("connection")
    add_api(group)
    group.add_argument(
        "--token-file", type=Path, metavar="FILE", help="a file with the bearer token (default: GRIDSIGNAL_TOKEN)"
    )
    add_tls_options(group)
    forms = arguments.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="JSON as the door answers it, times in UTC")
    if sheet:
        forms.add_argument("--csv", action="store_true", help="CSV with a head line: times in UTC, power in watts")
    return forms


@contextmanager
def door(args: argparse.Namespace) -> Iterator[httpx2.Client]:
    """The door these options describe. Raises Failed for what keeps it shut."""
    with opened("dispatch", args.api, "--api", DEFAULT_API, args) as http:
        yield http


@contextmanager
def opened(door: str, address: str, option: str, such_as: str, args: argparse.Namespace) -> Iterator[httpx2.Client]:
    """A REST door at the address of an option, for the token and with the TLS settings of the other options.

    A proxy is used only where one is in the way. Raises Failed for what keeps the door shut.
    """
    try:
        headers = {"Authorization": f"Bearer {bearer(args.token_file)}"}
    except UsageError as wrong:
        raise Failed(USAGE, str(wrong)) from None
    try:
        parts = split(address, ("http", "https"), f"such as {such_as}")
        if parts.scheme == "http":
            refuse_plaintext(parts.hostname or "", "https://", allowed=plaintext_allowed(), how=ALLOW)
        proxy = proxy_for(address, os.environ, socks_library="socksio")
    except UsageError as wrong:
        raise Failed(USAGE, f"{option}: {wrong}") from None
    try:
        secured = context(**files_of(args))
    except UsageError as wrong:
        raise Failed(USAGE, str(wrong)) from None
    try:
        with httpx2.Client(
            base_url=address,
            headers=headers,
            timeout=15,
            verify=secured,
            proxy=proxy.url if proxy else None,
            trust_env=False,  # what of the environment counts was read above
        ) as http:
            yield http
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        raise Failed(USAGE, f"{option}: expected a url such as {such_as}, got {shown(address)}") from None
    except httpx2.TransportError as away:
        if distrust := explained(away):
            raise Failed(FAILED, f"{door} door at {shown(address)}: {distrust}") from away
        by = f" (by way of the proxy in {proxy.variable})" if proxy else ""
        raise Failed(UNAVAILABLE, f"expected the {door} door at {address}, got {cause_of(away)}{by}") from away


def exit_code(work: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Runs a command's work; what goes wrong is told on stderr."""
    try:
        return work(args)
    except Failed as failed:
        print(f"gridsignal: {failed}", file=sys.stderr)
        return failed.code


_CODES = {Meaning.QUESTION: USAGE, Meaning.AGAIN: UNAVAILABLE}


def answer(response: httpx2.Response, options: Options = NONE, *, door: str = "dispatch") -> Any:
    """The door's answer. Raises Failed with every fault it named, in the words of the options that were typed."""
    if response.is_success and response.headers.get("content-type") == "application/json":
        return response.json()
    problem = _json_of(response)
    meaning = meaning_of(response.status_code, problem)
    if meaning is Meaning.TOKEN and (why := expired(response.request.headers["authorization"], datetime.now(UTC))):
        raise Failed(FAILED, why)
    try:
        faults = problem.get("errors", [])
        lines = [in_their_words(str(fault["pointer"]), str(fault["message"]), options) for fault in faults]
        message = "\n  ".join(map(printable, lines or [str(problem["detail"])]))
    except (AttributeError, KeyError, TypeError):
        message = f"expected an answer of the {door} door, got HTTP {response.status_code}"
        if response.is_redirect and (elsewhere := response.headers.get("location")):
            message += f": it redirects to {shown(elsewhere)}, and the token is not sent there"
    raise Failed(_CODES.get(meaning, FAILED), message, codes_of(problem))


def _json_of(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def pages(http: httpx2.Client, collection: str, wanted: Mapping[str, str | None]) -> list[Any]:
    """Everything of a collection, page by page."""
    query = {name: value for name, value in wanted.items() if value is not None}
    found: list[Any] = []
    following: str | None = ""
    while following is not None:
        page = answer(http.get(f"/v1/{collection}", params=query | ({"after": following} if following else {})))
        found += page[collection]
        following = page["next"]
    return found


def show_sheet(http: httpx2.Client, path: str, wanted: Mapping[str, str | None]) -> None:
    """Prints a list as the door writes it as CSV: all its pages, below one head line. Raises Failed."""
    params: dict[str, str] | None = {name: value for name, value in wanted.items() if value is not None}
    url, is_first = path, True
    while url:
        response = http.get(url, params=params, headers={"Accept": "text/csv"})
        if not (response.is_success and response.headers.get("content-type", "").startswith("text/csv")):
            answer(response)
            raise Failed(FAILED, "expected CSV of the dispatch door, got something else")
        _, _, rows = response.text.partition("\n")
        sys.stdout.write(response.text if is_first else rows)
        following = response.links.get("next", {}).get("url", "")
        url, params, is_first = following and path + following, None, False


def cause_of(error: BaseException) -> str:
    """Why a connection failed, in the operating system's or TLS's own words: the innermost cause that has any."""
    innermost = error
    while (deeper := innermost.__cause__ or innermost.__context__) is not None:
        innermost = deeper
    words = getattr(innermost, "verify_message", "") or getattr(innermost, "strerror", "") or str(innermost)
    return words or type(error).__name__  # some say nothing


def show_json(value: Any) -> None:
    """One object on one line."""
    print(json.dumps(value, separators=(",", ":")))


def period_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """The two ends of a request's or order's period, in market time."""
    starts_at, ends_at = (datetime.fromisoformat(end) if (end := record[name]) else None for name in _ENDS)
    return period(starts_at, ends_at, record["zone"])


def below(collection: str, identifier: str) -> str:
    """The path of one thing of a collection.

    Raises Failed for what is no id: servers read an escaped slash like any other, so escaping would not keep it one.
    """
    if not _ID.fullmatch(identifier):
        raise Failed(USAGE, f"expected an id of letters, digits, - and _, got {identifier!r:.60}")
    return f"/v1/{collection}/{identifier}"


def period_asked(args: argparse.Namespace) -> dict[str, str | None]:
    """The parameters of a list's --from and --to."""
    return {"from": args.since and rfc(args.since), "to": args.until and rfc(args.until)}


def add_period(arguments: argparse.ArgumentParser, what: str) -> None:
    """--from and --to of a list."""
    arguments.add_argument("--from", dest="since", type=moment, metavar="TIME", help=f"{what} that touch this period")
    arguments.add_argument("--to", dest="until", type=moment, metavar="TIME", help="its end")


def rfc(when: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return rfc3339(when.astimezone(UTC).replace(microsecond=0))
