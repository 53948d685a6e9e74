"""What of a list could not be read while the rest was: told, never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

KEPT_TEXTS = 20


@dataclass(slots=True)
class LeftOutRows:
    """Elements without a figure, each in words.

    Bounded: KEPT_TEXTS texts. When full: the others are counted. Conflates: nothing.
    """

    texts: list[str] = field(default_factory=list)
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __str__(self) -> str:
        """For people: the first, and how many there are."""
        first = f"{self.texts[0]:.160}" if self.texts else ""
        return f"{first} (and {self.count - 1} more)" if self.count > 1 else first

    def add(self, text: str) -> None:
        """Notes one element."""
        self.count += 1
        if len(self.texts) < KEPT_TEXTS:
            self.texts.append(text)
