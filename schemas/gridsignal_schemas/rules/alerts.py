"""What a site may say of an alert."""

from __future__ import annotations

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.messages import AckState, AlertAck
from gridsignal_schemas.rules.faults import fault


def ack_faults(ack: AlertAck) -> list[Detail]:
    """What keeps an acknowledgement from being one."""
    if ack.state is AckState.UNKNOWN:
        return [fault("UNKNOWN_SYMBOL", "/state", "expected a state this version knows, got UNKNOWN")]
    return []
