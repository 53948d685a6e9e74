"""What has the functions of NVIDIA's library that the actuator calls; there is no GPU behind it."""

# ruff: noqa: N802 - the names are those of the library

from __future__ import annotations


class Gpus:
    """Three, far larger than any, so that the contract's megawatts fit."""

    class NVMLError(Exception):
        """As the library raises it."""

    def __init__(self) -> None:
        self.limits = {"GPU-a": 4_000_000_000, "GPU-b": 4_000_000_000, "GPU-c": 4_000_000_000, "GPU-other": 700_000}
        self.least = {"GPU-a": 500_000_000, "GPU-b": 500_000_000, "GPU-c": 1_000_000_000, "GPU-other": 200_000}
        self.refuses = False
        self.open = 0

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if not self.open:
            raise self.NVMLError("Uninitialized")
        if uuid not in self.limits:
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetPowerManagementLimit(self, gpu: str) -> int:
        return self.limits[gpu]

    def nvmlDeviceGetPowerManagementLimitConstraints(self, gpu: str) -> list[int]:
        return [self.least[gpu], 4_000_000_000]

    def nvmlDeviceSetPowerManagementLimit(self, gpu: str, limit_mw: int) -> None:
        if self.refuses:
            raise self.NVMLError("Insufficient Permissions")
        if not self.least[gpu] <= limit_mw <= 4_000_000_000:
            raise self.NVMLError("Invalid Argument")
        self.limits[gpu] = limit_mw
