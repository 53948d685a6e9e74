"""A set of offsets as a map of bits: one for each record, whoever fills the log."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Offsets:
    """Offsets of one partition."""

    _bits: bytearray = field(default_factory=bytearray)

    def add(self, offset: int) -> None:
        """Takes one in."""
        byte, bit = divmod(offset, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit

    def __contains__(self, offset: int) -> bool:
        byte, bit = divmod(offset, 8)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)
