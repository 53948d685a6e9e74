"""Rules of the house that a syntax tree can see. None has a list of exceptions."""

from __future__ import annotations

import ast
import re

import pytest

from gridsignal_schemas.catalog import TOPICS
from tests.tidy.sources import ALL, PRODUCT, ROOT, Source, assert_none, called, sources

FUNCTION_LINES = 45
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NOBODYS_TASK = re.compile(
    r"^(asyncio\.)?(create_task|ensure_future)$|loop(\(\))?\.create_task$"
)  # a group holds its own
BROAD = {"Exception", "BaseException"}
TOPIC_NAMES = {topic.name for topic in TOPICS.values()}
WORDS_FOR_PEOPLE = {"message", "detail", "text", "verify_message", "strerror"}
SECRET = re.compile(r"(^|_)(token|secret|password|private)$")
# `
NOQA = re.compile(r"#\s*noqa\b(?!: [A-Z0-9, ]+ - \S)")
TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore(?!\[[a-z, -]+\]\s+(?:#|-) ?\S)")


def too_long(source: Source) -> list[str]:
    return [
        f"{source.where(node)} {node.name}: {length} lines"
        for node in ast.walk(source.tree)
        if isinstance(node, FUNCTIONS) and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]


def unheld_tasks(source: Source) -> list[str]:
    """Tasks that nobody holds: they may vanish while they run, and their errors with them."""
    return [
        source.where(node)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Expr) and NOBODYS_TASK.search(called(node.value))
    ]


def broad_catches(source: Source) -> list[str]:
    """Catches of everything that neither raise it again nor say why on the same line."""
    found = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler) or _raises_again(node):
            continue
        caught = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else BROAD
        line = source.lines[node.lineno - 1]
        if caught & BROAD and not re.search(r":\s*#\s*(noqa: [A-Z0-9, ]+ - )?\S", line):
            found.append(source.where(node))
    return found


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def topic_names(source: Source) -> list[str]:
    return [
        f"{source.where(node)} {node.value}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and node.value in TOPIC_NAMES
    ]


def unexplained_ignores(source: Source) -> list[str]:
    return [
        f"{source.name}:{number} {line.strip()}"
        for number, line in enumerate(source.lines, 1)
        if NOQA.search(line) or TYPE_IGNORE.search(line)
    ]


def decisions_by_words(source: Source) -> list[str]:
    """Looks for words in what an error or an answer says to people: its code, status or type decides."""
    caught = {node.name for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler) and node.name}

    def is_for_people(part: ast.expr) -> bool:
        if isinstance(part, ast.Attribute):
            return part.attr in WORDS_FOR_PEOPLE
        is_text = isinstance(part, ast.Call) and called(part) in ("str", "repr") and len(part.args) == 1
        return is_text and isinstance(part.args[0], ast.Name) and part.args[0].id in caught  # type: ignore[attr-defined]  # a call

    found = []
    for node in ast.walk(source.tree):
        looked_at: list[ast.expr] = []
        if isinstance(node, ast.Compare) and any(isinstance(way, ast.In | ast.NotIn) for way in node.ops):
            looked_at = node.comparators
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("startswith", "endswith", "find", "count"):
                looked_at = [node.func.value]
            elif node.func.attr in ("search", "match", "fullmatch", "findall"):
                looked_at = node.args
        found += [source.where(node) for part in looked_at if is_for_people(part)]
    return found


def shown_secrets(source: Source) -> list[str]:
    """Fields of classes with a secret that their repr, and so a log line or a traceback, would show."""
    return [
        f"{source.where(node)} {node.target.id}"
        for found in ast.walk(source.tree)
        if isinstance(found, ast.ClassDef)
        for node in found.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and SECRET.search(node.target.id)
        if re.match(r"(Annotated\[)*(str|bytes)\b", ast.unparse(node.annotation))
        and "repr=False" not in ast.unparse(node)
    ]


def test_a_function_fits_on_a_screen() -> None:
    assert_none(fault for source in sources(*ALL) for fault in too_long(source))


def test_somebody_holds_every_task() -> None:
    assert_none(fault for source in sources(*ALL) for fault in unheld_tasks(source))


def test_a_broad_catch_says_why() -> None:
    assert_none(fault for source in sources(*ALL) for fault in broad_catches(source))


def test_only_the_contract_knows_the_topics_names() -> None:
    assert_none(fault for source in sources("clients", "services", "benchmarks") for fault in topic_names(source))


def test_every_ignore_carries_its_reason() -> None:
    ours = [source for source in sources(*ALL) if source.path.name != "test_house_rules.py"]
    assert_none(fault for source in ours for fault in unexplained_ignores(source))


def test_nobody_decides_by_the_words_of_a_message() -> None:
    ours = sources("clients", "services/gridsignal_services/cli", "schemas")
    assert_none(fault for source in ours for fault in decisions_by_words(source))


def test_no_repr_shows_a_secret() -> None:
    assert_none(fault for source in sources(*PRODUCT) for fault in shown_secrets(source))


def test_annotations_cost_nothing_at_run_time() -> None:
    lacking = [
        source.name
        for source in sources(*PRODUCT)
        if any(isinstance(node, (ast.ClassDef, *FUNCTIONS)) for node in source.tree.body)
        and "from __future__ import annotations" not in source.text
    ]
    assert_none(lacking)


BAD = {
    "a long function": (too_long, "def long():\n" + "    x = 1\n" * FUNCTION_LINES),
    "a task nobody holds": (unheld_tasks, "asyncio.create_task(run())\n"),
    "a task of the loop": (unheld_tasks, "asyncio.get_running_loop().create_task(run())\n"),
    "a catch of everything": (broad_catches, "try:\n    x()\nexcept Exception:\n    pass\n"),
    "a bare except": (broad_catches, "try:\n    x()\nexcept:\n    pass\n"),
    "a topic's name": (topic_names, "topic = 'gridsignal.prices'\n"),
    "a word of an error": (decisions_by_words, "try:\n    x()\nexcept OSError as e:\n    y('full' in str(e))\n"),
    "a word of an answer": (decisions_by_words, "if 'TOO_MANY' in response.text:\n    x()\n"),
    "a pattern of an error": (
        decisions_by_words,
        "try:\n    x()\nexcept OSError as e:\n    y(re.search('full', str(e)))\n",
    ),
    "a beginning": (decisions_by_words, "if fault.message.startswith('expected'):\n    x()\n"),
    "a secret that is shown": (shown_secrets, "class Access:\n    token: str | None = None\n"),
    "a bare noqa": (unexplained_ignores, "x = 1  # noqa: E501\n"),
    "a bare type: ignore": (unexplained_ignores, "x = 1  # type: ignore[misc]\n"),
}
GOOD = {
    "a task of a group": (unheld_tasks, "group.create_task(run())\n"),
    "a held task": (unheld_tasks, "self._task = asyncio.create_task(run())\n"),
    "a catch with its reason": (
        broad_catches,
        "try:\n    x()\nexcept Exception:  # the last resort of a shell\n    y()\n",
    ),
    "a catch that raises again": (broad_catches, "try:\n    x()\nexcept BaseException:\n    y()\n    raise\n"),
    "a narrow catch": (broad_catches, "try:\n    x()\nexcept (ValueError, OSError):\n    y()\n"),
    "a code of an answer": (decisions_by_words, "if 'TOO_MANY' in refused.codes:\n    x()\n"),
    "a secret that is not shown": (shown_secrets, "class Access:\n    token: str = field(repr=False)\n"),
    "an error that is told": (decisions_by_words, "try:\n    x()\nexcept OSError as e:\n    print(str(e))\n"),
    "a noqa with its reason": (unexplained_ignores, "x = 1  # noqa: S105 - a frame's name\n"),
    "a type: ignore with its reason": (unexplained_ignores, "x = 1  # type: ignore[misc]  # the stub is wrong\n"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_the_check_sees(case: str) -> None:
    check, text = BAD[case]
    assert check(Source(ROOT / "x.py", text, ast.parse(text)))


@pytest.mark.parametrize("case", sorted(GOOD))
def test_the_check_lets_pass(case: str) -> None:
    check, text = GOOD[case]
    assert not check(Source(ROOT / "x.py", text, ast.parse(text)))
