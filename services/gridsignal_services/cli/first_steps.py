"""What `gridsignal up` suggests: a first request, offer and order, in commands short enough to survive copying.

What they need to know (addresses, a token, a site) lies in one file for each organisation, to be sourced by a shell.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from gridsignal.cli.grid_time import VARIABLE
from gridsignal_schemas.values import rfc3339
from gridsignal_services.embedded import Stack

_FAST = {"--start +": 9, "--for ": 5, "--gate +": 2, "--respond ": 5}
"""Minutes of the one who types."""


def write_environments(stack: Stack, tokens: Mapping[str, Path], directory: Path) -> dict[str, Path]:
    """A file of variables for each organisation, by `role:organisation` as the tokens are; it holds no secret."""
    site_of = {entry.participant: site for site, entry in reversed(stack.registry.sites.items())}
    files = {}
    for who, token in tokens.items():
        role, _, organisation = who.partition(":")
        variables = {
            "GRIDSIGNAL_URL": stack.gateway_url,
            "GRIDSIGNAL_API": stack.api_url,
            "GRIDSIGNAL_INGEST": stack.feeds_url,
            "GRIDSIGNAL_SITE": site_of.get(organisation, "") if role == "participant" else "",
        }
        if (grid := stack.replica.grid) is not None:
            variables[VARIABLE] = f"{rfc3339(grid.origin)} {grid.rate:g} {rfc3339(grid.epoch)}"
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        lines.append(f'export GRIDSIGNAL_TOKEN="$(cat {shlex.quote(str(token.resolve()))})"')
        lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
        files[who] = directory / f"{role}-{organisation}.env"
        files[who].write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return files


def first_steps(stack: Stack, files: Mapping[str, Path]) -> Iterator[str]:
    """Commands for the registry's first site and an operator of its zone, to be pasted in any folder."""
    site, entry = next(iter(stack.registry.sites.items()), (None, None))
    zone_of = stack.registry.operators.items()
    operator = next((name for name, asker in zone_of if entry is not None and entry.zone in asker.zones), None)
    if entry is None or operator is None:
        yield "nothing to try: the registry has no site, or no operator in a site's zone"
        yield "  gridsignal check-config FILE"
        return
    yield f"to try: in one terminal as {entry.participant}, who has the site {site}"
    yield f"  . {_path(files[f'participant:{entry.participant}'])}"
    yield f"  gridsignal watch requests --zone {entry.zone}"
    yield f"in another as {operator}"
    yield f"  . {_path(files[f'operator:{operator}'])}"
    yield f"  gridsignal request create --zone {entry.zone} --down 12MW {_spans(stack)}"
    yield "in the first again, after the watch is stopped"
    yield "  gridsignal offer create REQUEST_ID --power 12MW --price 90"
    whose = "" if stack.replica.grid is None else ", all by your own clock and not the grid's"
    yield f"two minutes later, when the gate has closed: the order must be accepted within five minutes{whose}"
    yield "  gridsignal watch dispatch --once"
    yield "  gridsignal respond accept ORDER_ID"


def _spans(stack: Stack) -> str:
    """Two minutes until the gate and five to accept, for the one who types: where time flies, as much more of it."""
    if (grid := stack.replica.grid) is None:
        return "--start +40m --for 45m --gate +2m"
    return " ".join(f"{option}{minutes * grid.rate:.0f}m" for option, minutes in _FAST.items())


def _path(file: Path) -> str:
    """As it is typed in any folder; `~` where it lies at home."""
    text, home = str(file.resolve()), os.path.expanduser("~")
    inside = text.startswith(home + os.sep) and home != os.sep and not shlex.quote(text).startswith("'")
    return f"~{text[len(home) :]}" if inside else shlex.quote(text)
