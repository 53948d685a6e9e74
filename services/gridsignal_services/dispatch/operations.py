"""The operation for whoever runs the doors: whether each is ready, how far behind the log it is, how connections fare.

What it counts is of all organisations together, and of none alone; what the log holds is not counted at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fastapi import APIRouter, Request

from gridsignal_schemas.values import Shape
from gridsignal_services.access import OPERATIONS_READ, Principal
from gridsignal_services.bus.condition import Condition
from gridsignal_services.dispatch.door import Door
from gridsignal_services.headway import Headway, Phase
from gridsignal_services.ops import Watched
from gridsignal_services.rest import problems

SHOWN = {
    "gridsignal_gateway_connections": "connections",
    "gridsignal_gateway_subscriptions": "subscriptions",
    "gridsignal_gateway_joins": "joins",
    "gridsignal_gateway_closes": "closes",
    "gridsignal_dispatch_answers": "answers",
}
"""What is shown of what a door counts, and by which name: nothing that has somebody's name on it."""
_WORST = (Phase.LOST, Phase.AWAY, Phase.STUCK, Phase.FILLING, Phase.CAUGHT_UP, Phase.LIVE)


class DoorState(Shape):
    """A door of the process that answers, or the log it stands on."""

    name: str
    ready: bool
    reason: str
    """Why it is not, or is of no use; empty where all is well."""


class Followed(Shape):
    """How far one who follows a stream is, all partitions together."""

    by: str
    stream: str
    state: Phase
    """Of its partitions the worst."""
    behind: int
    """Records on the log that it has not read, when the log was last asked."""
    unreadable: int
    """Records passed over since the process began."""


class Counted(Shape):
    """A figure of a door, since its process began or at this moment."""

    door: str
    name: str
    labels: dict[str, str]
    """Of what it is, such as the outcome of a resume."""
    value: float


class Operations(Shape):
    """How the process that answers does."""

    doors: list[DoorState]
    followed: list[Followed]
    counted: list[Counted]


class Overseen:
    """What is watched of the doors of this process, once they all are there."""

    def __init__(self) -> None:
        self.doors: Sequence[Watched] = ()
        self.log: Condition | None = None

    def shown(self) -> Operations:
        """As they do now."""
        return Operations(doors=list(self._states()), followed=list(self._followed()), counted=list(self._counted()))

    def _states(self) -> Iterator[DoorState]:
        for door in self.doors:
            yield DoorState(name=door.name, ready=door.health.ready, reason=str(door.state["reason"]))
        if self.log is not None:
            yield DoorState(name="log", ready=not self.log.trouble, reason=self.log.reason)

    def _followed(self) -> Iterator[Followed]:
        for each in dict.fromkeys(each for door in self.doors for each in door.followed):
            yield _followed(each)

    def _counted(self) -> Iterator[Counted]:
        for door in self.doors:
            for family in door.counted.collect():
                if (name := SHOWN.get(family.name)) is None:
                    continue
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        yield Counted(door=door.name, name=name, labels=sample.labels, value=sample.value)


def _followed(each: Headway) -> Followed:
    phases = dict(each.phases())
    return Followed(
        by=each.by,
        stream=each.stream,
        state=_worst(phases.values()),
        behind=sum(map(each.behind, phases)),
        unreadable=each.poison,
    )


def _worst(phases: Iterable[Phase]) -> Phase:
    return min(phases, key=_WORST.index, default=Phase.LIVE)


def runs_it(who: Principal) -> bool:
    """Whether they run the grid's services: an operator whose token says so."""
    return who.role == "operator" and OPERATIONS_READ in who.scopes


def routes(door: Door, overseen: Overseen) -> APIRouter:
    """The router of /v1/operations."""
    router = APIRouter(prefix="/v1", tags=["operations"])

    @router.get("/operations", summary="Show how the doors do")
    async def operations(request: Request) -> Operations:
        """The doors of the process that answers, the log, how far behind each reader is, connections and how they were
        resumed: for an operator's token with `operations:read`. Doors in processes of their own have operations ports
        of their own."""
        if not runs_it(door.principal(request, OPERATIONS_READ)):
            raise problems.operators_only()
        door.only(request)
        await door.catch_up(request)
        return overseen.shown()

    return router


def an_evening() -> Operations:
    """An example."""
    return Operations(
        doors=[
            DoorState(name="gateway", ready=True, reason=""),
            DoorState(name="dispatch", ready=True, reason=""),
            DoorState(name="log", ready=True, reason=""),
        ],
        followed=[Followed(by="ledger", stream="dispatch", state=Phase.LIVE, behind=0, unreadable=0)],
        counted=[
            Counted(door="gateway", name="connections", labels={}, value=12.0),
            Counted(door="gateway", name="joins", labels={"recovery": "exact", "reason": ""}, value=40.0),
        ],
    )
