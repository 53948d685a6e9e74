"""What the console decides by itself: how long a link is good, and what the page may do."""

from __future__ import annotations

import pytest

from gridsignal_services.console.links import LIFE_S, Links
from gridsignal_services.console.pages import Console, SignInAt, policy
from gridsignal_services.settings import ConfigError, ServerSettings


def test_a_link_is_good_for_a_while_and_few_are_kept() -> None:
    now = [0.0]
    links = Links(lambda: now[0])
    early = links.give("one")
    late = [links.give(f"t{number}") for number in range(64)]
    assert links.take(early) is None
    assert links.take(late[0]) == "t0"
    now[0] = LIFE_S
    assert links.take(late[1]) is None


def test_the_page_may_speak_to_the_three_doors_alone() -> None:
    said = policy("wss://grid.example:8081", "https://grid.example:8083")
    rules = dict(rule.split(" ", 1) for rule in said.split("; "))
    assert rules["connect-src"] == "'self' wss://grid.example:8081 https://grid.example:8083"
    assert "connect-src 'self' wss://grid.example:8081;" in policy("wss://grid.example:8081")
    others = {value for name, value in rules.items() if name not in ("connect-src", "require-trusted-types-for")}
    assert others == {"'self'", "'none'"}


@pytest.mark.parametrize(
    "address", ["grid.example", "https://grid.example", "wss://a; script-src *", "ws://a b", "wss://a/b"]
)
def test_an_address_that_could_widen_the_policy_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(ConfigError, match="console_gateway"):
        ServerSettings(console_gateway=address)
    with pytest.raises(ConfigError, match="console_ingest"):
        ServerSettings(console_ingest=f"{address} *")


@pytest.mark.parametrize("issuer", ["http://login.example", "https://login.example; script-src *", "gridsignal-local"])
def test_an_issuer_where_people_are_to_sign_in_is_a_url_that_nobody_on_the_way_can_change(issuer: str) -> None:
    keys = "https://login.example/jwks"
    with pytest.raises(ConfigError, match="console_client"):
        ServerSettings(issuer=issuer, console_client="console", jwks_url=keys)
    ServerSettings(issuer="https://login.example/realms/grid", console_client="console", jwks_url=keys)


def test_where_people_sign_in_is_the_issuer_s_and_its_origin_alone_is_spoken_to() -> None:
    issuer = "https://login.example:8443/realms/grid"
    settings = ServerSettings(issuer=issuer, console_client="console", jwks_url=f"{issuer}/jwks")
    where = SignInAt.of(settings)
    assert (where.issuer, where.client_id, where.scope) == (issuer, "console", settings.console_scope)
    assert where.origin == "https://login.example:8443"


def test_where_a_token_is_pasted_nobody_else_is_spoken_to() -> None:
    where = SignInAt.of(ServerSettings())
    assert (where.issuer, where.client_id, where.scope, where.origin) == (None, None, None, None)


def test_the_links_of_a_console_grow_old_by_its_own_clock() -> None:
    now = [0.0]
    links = Console(ServerSettings(), lambda: now[0]).links
    first, second = links.give("one"), links.give("two")
    assert links.take(first) == "one"
    now[0] = LIFE_S
    assert links.take(second) is None
