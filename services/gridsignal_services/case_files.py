"""A case from outside: one JSON file of a shape, read exactly, with every fault and its place told at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from gridsignal_schemas.frames import Detail
from gridsignal_schemas.strict_json import NotJson, NotTheShape, read
from gridsignal_schemas.values import Shape

S = TypeVar("S", bound=Shape)


class CaseFault(ValueError):
    """A file that is no case: `faults` says what is wrong, where, expected and got."""

    def __init__(self, faults: Sequence[Detail]) -> None:
        super().__init__("; ".join(f"{fault.pointer or 'case'}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


def wrong(pointer: str, message: str) -> Detail:
    """What is wrong at a place of the file."""
    return Detail(code="INVALID_VALUE", pointer=pointer, message=message)


def case_of(shape: type[S], text: bytes, most: int) -> S:
    """The case that a JSON text of at most so many bytes says, by its shape alone. Raises CaseFault."""
    if len(text) > most:
        raise CaseFault([wrong("", f"expected at most {most} bytes, got {len(text)}")])
    try:
        return read(shape, text)
    except NotJson as broken:
        raise CaseFault([wrong("", str(broken))]) from None
    except NotTheShape as other:
        raise CaseFault(other.faults) from None
