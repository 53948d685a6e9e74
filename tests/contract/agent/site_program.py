"""A site's own program, as the command actuator starts it: FILE observe NOW | FILE apply WATTS UNTIL REASON.

Ten megawatts can be shed. What is applied ends by itself.
"""

import json
import sys
from pathlib import Path
from typing import Any

CAN_W = 10_000_000


def main() -> None:
    file, word, *rest = sys.argv[1:]
    state: dict[str, Any] = (
        json.loads(Path(file).read_text("utf-8")) if Path(file).exists() else {"shed_w": 0, "until": ""}
    )
    if word == "observe":
        if state["until"] <= rest[0]:
            state = {"shed_w": 0, "until": ""}
        print(
            json.dumps({"shed_w": state["shed_w"], "until": state["until"] or None, "room_w": CAN_W - state["shed_w"]})
        )
        return
    watts, until, reason = rest
    slots = json.load(sys.stdin)
    assert not slots or slots[0]["orders"], slots
    Path(file).write_text(json.dumps({"shed_w": min(int(watts), CAN_W), "until": until, "reason": reason}), "utf-8")


main()
