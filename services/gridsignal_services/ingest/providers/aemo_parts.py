"""The parts of AEMO's market notices, sentence by sentence: whose window one is, what is called off and what stands.

A notice may cancel the condition of one region, or one of several windows, and go on with the others. A window is of
the regions that its own sentence names, else of those named last before it; one beside which nobody is named is of all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gridsignal_services.ingest.providers.aemo_times import Window

REGIONS = {
    "AU-NSW": re.compile(
        r"(?<![\w-])(?:NSW1?|N\.S\.W\.?|New South Wales|(?-i:ACT)"
        r"|Australian Capital Territory)(?![\w-])",
        re.IGNORECASE,
    ),
    "AU-QLD": re.compile(r"(?<![\w-])(?:QLD1?|Queensland)(?![\w-])", re.IGNORECASE),
    "AU-SA": re.compile(r"(?<![\w-])(?:SA1?|(?i:South Australian?))(?![\w-])|(?i:\bsa\s+region)"),
    "AU-TAS": re.compile(r"(?<![\w-])(?:TAS1?|Tasmanian?)(?![\w-])", re.IGNORECASE),
    "AU-VIC": re.compile(r"(?<![\w-])(?:VIC1?|Victorian?)(?![\w-])", re.IGNORECASE),
}
"""How texts name the zones."""
_OVER = re.compile(
    r"(?<!not )(?<!not been )\b(?:cancel(?:led|ed|s|lation)?|withdrawn|rescinded|revoked|lifted|ceased"
    r"|(?:has|have) (?:now )?ended|is over|no longer (?:forecast|exists?|appl(?:y|ies|icable)|in force|required))\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:LOR|MSL|Lack Of Reserve|Minimum System Load|condition|notice|declaration|direction|load shed)", re.IGNORECASE
)
_PERHAPS = re.compile(r"\b(?:will|may|might|could|would|should|can|if|unless|until|when)\b", re.IGNORECASE)
_STANDS = re.compile(
    r"\b(?:remain|continue|stay|persist)(?:s|ing)?\b|\b(?:is|are) (?:still|now|unchanged|updated|revised)\b"
    r"|\b(?:still|unchanged|instead)\b|\b(?:is|are) (?:forecast|declared|in force)\b",
    re.IGNORECASE,
)
_IN_PART = re.compile(r"\bpart(?:s|ly|ial|ially)?\b|\bupdate[ds]?\b|\brevised\b|\bremain", re.IGNORECASE)
_RESTORED = re.compile(
    r"\brestor\w*\b[^.]{0,20}\ball\b[^.]{0,20}\bload|\ball\b[^.]{0,20}\bload\b[^.]{0,40}\brestored", re.IGNORECASE
)
_BREAK = re.compile(
    r"(?<=[\w)\]])[.;]\s+(?=(?-i:[A-Z])|\[)|;\s+|\n\s*\n|\n(?=\s*(?:\[?\d{1,2}\s*[.)]|[-*o\u2022]\s))"
    r"|,?\s+\b(?=(?:but|while|whereas|however)\b)|(?:(?<=cancelled)|(?<=withdrawn)|(?<=lifted)|(?<=ended)),?\s+(?=(?:and\s+)?the\b)",
    re.IGNORECASE,
)
"""Where a sentence, a clause that denies another, or an item of a list ends."""
_ITEM = re.compile(r"\s*(?:\[?\d{1,2}\s*[.)]|[-*o\u2022]\s)")
_JOINED = re.compile(r"(?:\s|[,/&+()]|\b(?:and|or|the|in|for|regions?)\b)*", re.IGNORECASE)
_OPENS_LIST = re.compile(r":\s*(?:$|\[?\d{1,2}\s*[.)])")


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence, or an item of a list: where it stands in its text, and whether what it tells of is over."""

    begins: int
    ends: int
    text: str
    over: bool
    stands: bool


def parts(text: str) -> list[Part]:
    """The sentences of a notice; an item of a list goes on with what was said before the list."""
    found: list[Part] = []
    begins, of_list = 0, (False, False)
    for ends in (*(match.end() for match in _BREAK.finditer(text)), len(text)):
        said = text[begins:ends]
        if not said.strip():
            continue
        over, stands = _is_called_off(said), bool(_STANDS.search(said))
        is_item = bool(_ITEM.match(said))
        if is_item and not over and not stands:
            over, stands = of_list
        if not is_item:
            of_list = (over, stands) if _OPENS_LIST.search(said) else (False, False)
        found.append(Part(begins, ends, said, over, stands))
        begins = ends
    return found


def _is_called_off(sentence: str) -> bool:
    """Whether it says that a condition is over; not a line's outage, and not what may come."""
    return any(not _PERHAPS.search(sentence, 0, over.start()) for over in _OVER.finditer(sentence)) and bool(
        _CONDITION.search(sentence)
    )


def all_over(title: str, text: str) -> bool:
    """Whether a notice calls off all that it is about: its title says so, or all load is restored."""
    return bool((_OVER.search(title) and not _IN_PART.search(title)) or _RESTORED.search(text))


def called_off(zone: str, zones: Sequence[str], all_parts: Sequence[Part], named: Sequence[Window]) -> bool:
    """Whether a sentence calls off the whole condition of a zone: it names the zone or nobody, and no window."""
    return any(
        zone in (regions_in(part.text, zones) or zones)
        for part in all_parts
        if part.over and not any(part.begins <= window.begins < part.ends for window in named)
    )


def part_of(window: Window, all_parts: Sequence[Part]) -> Part:
    """The sentence that names a window."""
    return next(part for part in all_parts if part.begins <= window.begins < part.ends)


def regions_in(text: str, zones: Collection[str]) -> list[str]:
    """Those of the zones that a text names."""
    return [zone for zone in zones if REGIONS[zone].search(text)]


def by_zone(
    zones: Sequence[str], named: Sequence[Window], text: str, all_parts: Sequence[Part]
) -> Mapping[str, list[Window]]:
    """The windows of each region; none for one beside whose name none stands, where others have theirs."""
    own: dict[str, list[Window]] = {zone: [] for zone in zones}
    last: list[str] = []
    for part in all_parts:
        inside = [window for window in named if part.begins <= window.begins < part.ends]
        for window, beside in zip(inside, _beside(part, inside, text, zones), strict=True):
            last = beside or last
            for zone in last or zones:
                own[zone].append(window)
        last = _named_last(text[inside[-1].stops if inside else part.begins : part.ends], zones) or last
    return own


def _beside(part: Part, inside: Sequence[Window], text: str, zones: Sequence[str]) -> Iterator[list[str]]:
    """The regions that a sentence names beside each of its windows: before them, or behind where none is before."""
    if not inside:
        return
    follow = not regions_in(text[part.begins : inside[0].begins], zones)
    since = part.begins
    for window, until in zip(inside, (*(other.begins for other in inside[1:]), part.ends), strict=True):
        yield regions_in(text[window.stops : until] if follow else text[since : window.begins], zones)
        since = window.stops


def _named_last(text: str, zones: Sequence[str]) -> list[str]:
    """The regions named last in a text, several where they are named in one breath."""
    found = sorted((match.start(), match.end(), zone) for zone in zones for match in REGIONS[zone].finditer(text))
    group: list[tuple[int, int, str]] = []
    for mention in found:
        if group and not _JOINED.fullmatch(text, group[-1][1], mention[0]):
            group = []
        group.append(mention)
    return list(dict.fromkeys(zone for _, _, zone in group))
