"""`gridsignal alert`: what operators issue, what each site says of it, and what its meters show."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

import httpx2

from gridsignal.__main__ import FAILED, OK
from gridsignal.cli import connection
from gridsignal.cli.arguments import Arguments, code, give_examples, identifier, moment, span, whole, words
from gridsignal.cli.connection import add_api
from gridsignal.cli.grid_time import grid_now
from gridsignal.cli.tables import show_rows, when
from gridsignal.client import Ack
from gridsignal.ids import uuid7
from gridsignal_schemas.messages import AlertAction, AlertKind, GridAlert
from gridsignal_services.cli.api import (
    add_options,
    add_period,
    answer,
    below,
    door,
    exit_code,
    pages,
    period_asked,
    period_of,
    rfc,
    show_json,
    show_sheet,
)
from gridsignal_services.cli.ingest_door import add_address, ingest_door
from gridsignal_services.cli.ingest_door import answer as pushed

EXAMPLE = """\
examples:
  gridsignal alert list --in-force
  gridsignal alert show ALERT_ID
  gridsignal alert create --zone DE-LU --kind grid_emergency --action shed --text "Shed now." --token-file push.token
  gridsignal alert create --zone DE-LU --kind disturbance --action hold --for 10m --drill --token-file push.token
  gridsignal alert ack ALERT_ID will_act --site fra-1
  gridsignal alert clear ALERT_ID --token-file push.token
"""
WORDS = {
    "": "ALERT_ID",
    "alert_id": "--id",
    "zone": "--zone",
    "area": "--area",
    "kind": "--kind",
    "level": "--level",
    "action": "--action",
    "starts_at": "--start",
    "ends_at": "--for",
    "is_drill": "--drill",
    "text": "--text",
    "supersedes": "--supersedes",
    "acknowledge_within_s": "--acknowledge-within",
    "apply_within_s": "--apply-within",
}
CLEARED = {"": "ALERT_ID", "alert_id": "ALERT_ID", "zone": "--zone", "zones": "--zone", "provider": "--provider"}
_LEVELS = {"INFORM": 1, "PREPARE": 2}
"""Without `--level`; all others are of level 3."""
_ANSWERED = {"SHED": timedelta(minutes=1), "HOLD": timedelta(minutes=1)}
"""Without `--acknowledge-within`; no other has to be."""


def parser() -> Arguments:
    """The command's arguments."""
    arguments = Arguments(
        prog="gridsignal alert",
        description="Alerts of your zones: issue and clear them, and see who received, applied and proved them.",
        epilog=EXAMPLE,
    )
    actions = arguments.add_subparsers(dest="action_", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="alerts of your zones")
    listing.add_argument("--zone", help="of one zone")
    listing.add_argument("--in-force", action="store_true", help="only what is not over")
    add_period(listing, "alerts")
    add_options(listing, sheet=True)
    show = actions.add_parser("show", help="one alert, and what each site says of it")
    _name(show)
    show.add_argument("--revision", type=whole(1, 2**31 - 1), help="of which one (default: the newest)")
    add_options(show)
    _add_create(actions.add_parser("create", help="issue one, or with its id a revision of it"))
    clear = actions.add_parser("clear", help="end one now")
    _name(clear)
    add_address(clear)
    add_api(clear)
    clear.add_argument("--json", action="store_true", help="one JSON object")
    ack = actions.add_parser("ack", help="say for your site what you make of one in force")
    _name(ack)
    ack.add_argument("state", type=str.upper, choices=get_args(Ack), metavar="STATE", help=", ".join(get_args(Ack)))
    ack.add_argument("--code", type=code, default="", help="a reason for machines")
    ack.add_argument("--reason", type=words, default="", help="a reason for people")
    connection.add_options(ack, site=True)
    give_examples(actions, EXAMPLE)
    return arguments


def _add_create(create: argparse.ArgumentParser) -> None:
    create.add_argument("--zone", required=True, help="one of your zones")
    create.add_argument("--kind", type=str.upper, required=True, choices=_symbols(AlertKind), help="what is the matter")
    create.add_argument("--action", type=str.upper, required=True, choices=_symbols(AlertAction), help="what is asked")
    create.add_argument("--text", type=words, default="", help="for people")
    create.add_argument("--level", type=whole(0, 3), help="0 to 3 (default: by the action)")
    create.add_argument("--area", help="a part of the zone, in your words")
    create.add_argument("--start", type=moment, metavar="TIME", help="when it takes effect (default: now)")
    create.add_argument("--for", type=span, dest="lasting", metavar="SPAN", help="how long (default: until cleared)")
    create.add_argument("--drill", action="store_true", help="an exercise: it is answered, and not acted on")
    create.add_argument("--supersedes", type=identifier, metavar="OLDER_ID", help="it takes this alert's place")
    create.add_argument(
        "--acknowledge-within", type=span, metavar="SPAN", help="who has not by then is late (shed and hold: 1m)"
    )
    create.add_argument("--apply-within", type=span, metavar="SPAN", help="from its start: later is shown as late")
    create.add_argument("--id", type=identifier, metavar="ALERT_ID", help="yours (default: a new one)")
    add_address(create)
    create.add_argument("--json", action="store_true", help="one JSON object")


def _name(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("alert_id", metavar="ALERT_ID", help="as `gridsignal alert list` shows it")
    arguments.add_argument("--zone", help="where several have this id")
    arguments.add_argument("--provider", help="likewise")


def _symbols(kind: type[AlertKind] | type[AlertAction]) -> list[str]:
    return [symbol.value for symbol in kind if symbol.value != "UNKNOWN"]


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if args.action_ == "ack":
        return connection.exit_code(_ack(args), args, CLEARED)
    return exit_code(_WORK[args.action_], args)


async def _ack(args: argparse.Namespace) -> int:
    wanted = [
        alert
        for alert in await connection.current(args, "alerts", None if args.zone is None else [args.zone])
        if isinstance(alert, GridAlert) and alert.alert_id == args.alert_id
        if args.provider in (None, alert.provider)
    ]
    async with connection.open_grid(args, for_site=True) as grid:
        if len(wanted) != 1:
            found = ", ".join(f"{alert.provider} in {alert.zone}" for alert in wanted) or "none"
            connection.tell(f"expected one alert {args.alert_id!r:.80} in force, got {found}")
            return FAILED
        receipt = await grid.acknowledge(wanted[0], args.state, reason_code=args.code, reason=args.reason)
    if args.json:
        show_json(receipt.model_dump(mode="json", exclude_none=True))
    else:
        said = f"{args.state}, received at {when(receipt.received_at, wanted[0].zone, seconds=True)}"
        print(f"{'DRILL ' if wanted[0].is_drill else ''}alert {args.alert_id}: {said}")
    return OK


def _list(args: argparse.Namespace) -> int:
    wanted = {"zone": args.zone, "in_force": "true" if args.in_force else None} | period_asked(args)
    with door(args) as http:
        if args.csv:
            show_sheet(http, "/v1/alerts", wanted)
            return OK
        views = pages(http, "alerts", wanted)
    if args.json:
        for view in views:
            show_json(view)
        return OK
    _show_alerts(views)
    return OK


def _show(args: argparse.Namespace) -> int:
    with door(args) as http:
        view = _whole(http, args, {"revision": None if args.revision is None else str(args.revision)})
    if args.json:
        show_json(view)
        return OK
    _show_alerts([view])
    zone = view["alert"]["zone"]
    rows = [
        (
            site["site"],
            _step(site["received"], zone),
            _step(site["applied"], zone),
            _verified(site["verified"], zone),
            _word(site, zone),
        )
        for site in view["sites"]
    ]
    show_rows("sites", ("site", "received", "applied", "verified by meter", "said"), rows)
    return OK


def _whole(http: httpx2.Client, args: argparse.Namespace, more: Mapping[str, str | None]) -> dict[str, Any]:
    """An alert with the sites of all its pages."""
    wanted = {"zone": args.zone, "provider": args.provider, **more}
    query = {name: value for name, value in wanted.items() if value is not None}
    path = below("alerts", args.alert_id)
    view: dict[str, Any] = answer(http.get(path, params=query))
    while view["next"] is not None:
        page = answer(http.get(path, params=query | {"after": view["next"]}))
        view = page | {"sites": view["sites"] + page["sites"]}
    return view


def _create(args: argparse.Namespace) -> int:
    return _push(args, body_of(args, grid_now()))


def body_of(args: argparse.Namespace, now: datetime) -> dict[str, Any]:
    """What is pushed for a new alert."""
    starts_at = args.start or now
    within = args.acknowledge_within or _ANSWERED.get(args.action)
    body = {
        "alert_id": args.id or uuid7(),
        "zone": args.zone,
        "area": args.area,
        "kind": args.kind,
        "level": _LEVELS.get(args.action, 3) if args.level is None else args.level,
        "action": args.action,
        "issued_at": rfc(now),
        "starts_at": rfc(starts_at),
        "ends_at": None if args.lasting is None else rfc(starts_at + args.lasting),
        "is_drill": args.drill,
        "text": args.text,
        "supersedes": args.supersedes,
        "acknowledge_within_s": None if within is None else int(within.total_seconds()),
        "apply_within_s": None if args.apply_within is None else int(args.apply_within.total_seconds()),
    }
    return {name: value for name, value in body.items() if value is not None}


def _clear(args: argparse.Namespace) -> int:
    with door(args) as http:
        view = _whole(http, args, {})
    alert, now = view["alert"], rfc(grid_now())
    if view["is_over"] and alert["ends_at"] is not None:
        return _tell(args, alert, {"news": "known", "revision": alert["revision"]}, "over already")
    body = {name: value for name, value in alert.items() if name not in ("revision", "provider") and value is not None}
    return _push(args, body | {"starts_at": min(alert["starts_at"], now), "ends_at": now})


def _push(args: argparse.Namespace, body: dict[str, Any]) -> int:
    with ingest_door(args) as http:
        became = pushed(http.post("/v1/signals/alerts", json=body), WORDS if args.action_ == "create" else CLEARED)
    return _tell(args, body, became, "cleared" if args.action_ == "clear" else became["news"])


def _tell(args: argparse.Namespace, alert: Mapping[str, Any], became: Mapping[str, Any], word: str) -> int:
    if args.json:
        show_json({"alert_id": alert["alert_id"], **became})
    else:
        drill = "DRILL " if alert["is_drill"] else ""
        print(f"{drill}alert {alert['alert_id']}: {word}, revision {became['revision']}")
    return OK


_WORK = {"list": _list, "show": _show, "create": _create, "clear": _clear}


def _show_alerts(views: list[Any]) -> None:
    rows = []
    for view in views:
        alert = view["alert"]
        over = f"superseded by {view['superseded_by']}" if view["superseded_by"] else "over"
        rows.append(
            (
                alert["alert_id"],
                f"{'DRILL ' if alert['is_drill'] else ''}{alert['kind']}",
                alert["action"],
                str(alert["level"]),
                alert["zone"],
                alert["provider"],
                *period_of(alert),
                over if view["is_over"] else "in force",
                alert["text"],
            )
        )
    show_rows("alerts", ("id", "kind", "action", "level", "zone", "by", "from", "to", "state", "text"), rows)


def _step(step: dict[str, Any], zone: str) -> str:
    late = " LATE" if step["is_late"] else ""
    return f"{_time(step['at'], zone)}{late}"


def _verified(verified: dict[str, Any], zone: str) -> str:
    if verified["at"] is None:
        return "-"
    return f"{_time(verified['at'], zone)} {verified['power_w'] / 1e6:g} MW"


def _word(site: dict[str, Any], zone: str) -> str:
    if site["cannot_act_at"]:
        return f"CANNOT_ACT {_time(site['cannot_act_at'], zone)} {site['reason_code']} {site['reason']}".rstrip()
    for name in ("will_act", "understood"):
        if at := site[f"{name}_at"]:
            return f"{name.upper()} {_time(at, zone)}"
    return ""


def _time(at: str | None, zone: str) -> str:
    return when(datetime.fromisoformat(at) if at else None, zone, seconds=True)
