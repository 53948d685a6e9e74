"""gridsignal: the wire between power grids and data centers, from the data center's side.

    async with gridsignal.connect("ws://localhost:8081", token=token, site="fra-1") as grid:
        async for signal in grid.subscribe("prices", "dispatch", zones=["DE-LU"]):
            ...

Everything public is named here; `gridsignal.sync` is the same without `async`, and
`gridsignal.testing` has a gateway in memory for the tests of your own program.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gridsignal.version import __version__

if TYPE_CHECKING:
    from gridsignal import frames, sync
    from gridsignal.client import Grid
    from gridsignal.clock import Clock
    from gridsignal.connection import connect
    from gridsignal.errors import (
        Conflict,
        ConnectionFailed,
        DeadlinePassed,
        GridClosed,
        GridsignalError,
        Invalid,
        NotEntitled,
        NotPermitted,
        OutboxFailed,
        ProtocolViolation,
        Refused,
        Replaced,
        SubscriptionRefused,
        TooEarly,
        TooLarge,
        TooLate,
        Unauthorized,
        Unreachable,
        Untrusted,
        UsageError,
    )
    from gridsignal.history import BaselineStretch, CarbonPoint, Dispute, PricePoint, Settled
    from gridsignal.lines import Limits
    from gridsignal.offers import Terms
    from gridsignal.regulating import Regulation
    from gridsignal.standing import Listing, OfferStatus, OrderStatus
    from gridsignal.subscription import Subscription
    from gridsignal_protocol.client.messages import Gap, Message, OrderOver
    from gridsignal_protocol.client.regulation import RampToBase
    from gridsignal_schemas.evidence import Evidence, Proof
    from gridsignal_schemas.frames import Detail, Receipt, State, States
    from gridsignal_schemas.messages import (
        Accounting,
        AckState,
        AlertAck,
        AlertAction,
        AlertKind,
        BaselineDeclaration,
        BaselineFixed,
        CarbonIntensity,
        CarbonStatus,
        ClearingMode,
        DailyHours,
        Decision,
        Direction,
        DispatchOrder,
        DispatchRequest,
        DisputeRejected,
        EnergyCertificate,
        Firmness,
        Flexibility,
        FlexibilityKind,
        FlexOffer,
        GridAlert,
        GridClock,
        MeterPoint,
        MeterReading,
        Mix,
        OfferDecision,
        OfferOption,
        OfferWithdrawal,
        OnCommsLoss,
        OrderResponse,
        OrderState,
        PriceProduct,
        PriceStatus,
        Pricing,
        Purpose,
        Quality,
        QuantityKind,
        Rebound,
        RegulationSetpoint,
        RequestCancellation,
        ResponseKind,
        RunMode,
        Scope,
        SettledInterval,
        Settlement,
        SettlementDispute,
        SettlementStatus,
        SpotPrice,
        StandingTerms,
        Visibility,
        Workload,
    )
    from gridsignal_schemas.rules.products import Product, ProductTerms
    from gridsignal_schemas.values import KW, MW

__all__ = [
    "KW",
    "MW",
    "Accounting",
    "AckState",
    "AlertAck",
    "AlertAction",
    "AlertKind",
    "BaselineDeclaration",
    "BaselineFixed",
    "BaselineStretch",
    "CarbonIntensity",
    "CarbonPoint",
    "CarbonStatus",
    "ClearingMode",
    "Clock",
    "Conflict",
    "ConnectionFailed",
    "DailyHours",
    "DeadlinePassed",
    "Decision",
    "Detail",
    "Direction",
    "DispatchOrder",
    "DispatchRequest",
    "Dispute",
    "DisputeRejected",
    "EnergyCertificate",
    "Evidence",
    "Firmness",
    "FlexOffer",
    "Flexibility",
    "FlexibilityKind",
    "Gap",
    "Grid",
    "GridAlert",
    "GridClock",
    "GridClosed",
    "GridsignalError",
    "Invalid",
    "Limits",
    "Listing",
    "Message",
    "MeterPoint",
    "MeterReading",
    "Mix",
    "NotEntitled",
    "NotPermitted",
    "OfferDecision",
    "OfferOption",
    "OfferStatus",
    "OfferWithdrawal",
    "OnCommsLoss",
    "OrderOver",
    "OrderResponse",
    "OrderState",
    "OrderStatus",
    "OutboxFailed",
    "PricePoint",
    "PriceProduct",
    "PriceStatus",
    "Pricing",
    "Product",
    "ProductTerms",
    "Proof",
    "ProtocolViolation",
    "Purpose",
    "Quality",
    "QuantityKind",
    "RampToBase",
    "Rebound",
    "Receipt",
    "Refused",
    "Regulation",
    "RegulationSetpoint",
    "Replaced",
    "RequestCancellation",
    "ResponseKind",
    "RunMode",
    "Scope",
    "Settled",
    "SettledInterval",
    "Settlement",
    "SettlementDispute",
    "SettlementStatus",
    "SpotPrice",
    "StandingTerms",
    "State",
    "States",
    "Subscription",
    "SubscriptionRefused",
    "Terms",
    "TooEarly",
    "TooLarge",
    "TooLate",
    "Unauthorized",
    "Unreachable",
    "Untrusted",
    "UsageError",
    "Visibility",
    "Workload",
    "__version__",
    "connect",
    "frames",
    "sync",
]

# Each name is loaded when it is first asked for (PEP 562): the command line starts from this package, and answers
# `--help` without waiting for pydantic to build the records.
_HOMES = (
    "gridsignal_schemas.values",
    "gridsignal_schemas.messages",
    "gridsignal_protocol.client.messages",
    "gridsignal_protocol.client.regulation",
    "gridsignal.errors",
    "gridsignal.history",
    "gridsignal_schemas.frames",
    "gridsignal_schemas.evidence",
    "gridsignal_schemas.rules.products",
    "gridsignal.clock",
    "gridsignal.lines",
    "gridsignal.offers",
    "gridsignal.regulating",
    "gridsignal.standing",
    "gridsignal.subscription",
    "gridsignal.client",
    "gridsignal.connection",
)


_MODULES = ("frames", "pytest_plugin", "sync", "testing")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"gridsignal.{name}")
    if name in __all__:
        for home in map(import_module, _HOMES):
            if hasattr(home, name):
                globals()[name] = found = getattr(home, name)
                return found
    raise AttributeError(f"module 'gridsignal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
