"""The console in a real Chromium, over the real embedded stack: what a control room and a data center see and do."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from gridsignal_schemas.messages import DispatchOrder, DispatchRequest
from gridsignal_schemas.values import MW
from gridsignal_services.access import SIGNAL_READ
from tests.browser import Page
from tests.builders import a_carbon_intensity, a_grid_alert, a_spot_price, utc
from tests.integration.relay import Relay
from tests.journey.conftest import PATIENT, hear, two_sites
from tests.journey.looking import has_no_barrier, looking, told

TIMES = {"gate_closure_at": "19:00", "decision_deadline": "19:20", "starts_at": "20:00", "ends_at": "20:45"}
"""In the market's time, two hours before UTC."""
GAP = [None if 3 <= hour < 5 else Decimal(hour - 6) * 10 for hour in range(24)]


async def asks_for_ten_megawatts(page: Page) -> str:
    """What an operator does in the page; the request's id."""
    await page.press("New request")
    await page.fill("power", "10")
    await page.fill("cap", "120")
    await page.says("Who could answer", "fra-1", "✓ yes", "no failsafe profile")
    for day, able in (("2024-06-12", 0), ("2024-05-12", 3)):
        for field, at in TIMES.items():
            await page.fill(field, f"{day}T{at}")
        await page.says(f"{able} of 3 sites in DE-LU could answer")
    await has_no_barrier(page)
    await page.press("Look it over …")
    await page.says("Ask for 10 MW less in DE-LU?", "7.5 MWh in all. At most EUR 900.00", "20:00 +02:00")
    await has_no_barrier(page)
    await page.press("Ask for it")
    await page.says("10 MW less in DE-LU", "Nobody has offered so far.")
    return str(await page.js("location.hash.split('/').pop()"))


async def test_a_request_is_asked_offered_cleared_ordered_metered_and_settled_in_the_page(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium), world.site("acme-ai", "fra-1") as fra:
        operator = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await operator.says("Control room", "● live", "Nothing is asked for.")
        site = await chromium.page(world.stack.console_link("participant", "acme-ai"))
        await site.says("Data center: fra-1", "● live", "You have no order.")
        request_id = await asks_for_ten_megawatts(operator)
        signals = fra.subscribe("dispatch")
        request = await hear(signals, DispatchRequest, request_id=request_id)
        await site.says("Asked for in your zones", "EUR 120.00/MWh")
        receipt = await fra.offer(request, 10 * MW, "80")
        await operator.says("EUR 80.00/MWh", "◌ live")
        await has_no_barrier(operator)
        await operator.press("Clear now …")
        await operator.says("about 10 MW are called from 1 sites, for about EUR 600.00", "The gate is still open")
        await operator.press("Clear now")
        order = await hear(signals, DispatchOrder, state="ISSUED")
        await operator.until("/◔ (issued|received)/.test(document.body.innerText)")
        await site.says("answer in", "◔ tentative")
        await is_accepted_by_a_person(site)
        await operator.says("✓ accepted")
        await site.says("✓ accepted", "✓ awarded")
        for since, until in (("18:00", "18:15"), ("18:15", "18:30"), ("18:30", "18:45")):
            await world.reach(utc(until))
            await fra.meter(meter="main", starts_at=utc(since), ends_at=utc(until), import_w=26 * MW, seq=0)
        await world.reach(utc("20:00"))
        await operator.says("■ completed", "7.5 MWh", "◔ provisional EUR 600.00")
        await site.says("What orders came to", "◔ provisional", "EUR 600.00")
        await has_no_barrier(site)
        await site.press(str(receipt.offer_id)[:13])
        await site.says("An offer of fra-1", "■ delivered", receipt.sha256)
        await has_no_barrier(site)
        await site.press("Save its proof")
        await site.says("No signed head that you may see covers this record yet")
        await site.press("Data center")
        await operator.press("Control room")
        await operator.says("Over in the last day", "■ completed")
        await has_no_barrier(operator)
        await is_disputed_and_rejected(operator, site, order.order_id[:8])
        assert operator.faults + site.faults == []


async def is_accepted_by_a_person(site: Page) -> None:
    """As the agent's mode `confirm` waits for it, or any program that has not answered."""
    await site.press("answer")
    await site.says("It waits for your answer until", "Refuse …")
    await has_no_barrier(site)
    await site.press("Accept a part …")
    await site.says("Accept a part of the order of fra-1?", "Accepted, MW")
    await has_no_barrier(site)
    await site.press("Leave it as it is")
    await site.press("Accept …")
    await site.says("10 MW less from 2024-05-12 20:00 +02:00 to", "7.5 MWh at EUR 80.00/MWh, EUR 600.00 if all of it")
    await site.press("Accept it")
    await site.says("✓ accepted")
    await site.until("!document.querySelector('dialog[open]')")
    assert "It waits for your answer" not in await site.text()
    await site.press("Data center")


async def is_disputed_and_rejected(operator: Page, site: Page, order: str) -> None:
    """Both look at the same order, and see at once what the other says."""
    await site.press(order)
    await site.says("Version 1, written", "It may be disputed until 2024-05-26 21:45 +02:00")
    await site.press("Dispute this version …")
    await site.says("Dispute version 1 of what the order of fra-1 came to?", "It says EUR 600.00 for 7.5 MWh")
    await has_no_barrier(site)
    await site.fill("reason_code", "baseline")
    await site.fill("claimed", "650.5")
    await site.fill("reason", "Two halls were away.")
    await site.press("Dispute it")
    await site.says("baseline: Two halls were away.", "EUR 650.50", "none so far")
    await operator.says("Disputes without an answer")
    await has_no_barrier(operator)
    await operator.press(order)
    await operator.press("Reject the dispute baseline")
    await operator.says("It stays EUR 600.00, and not EUR 650.50.")
    await has_no_barrier(operator)
    await operator.fill("reason", "The halls were in it.")
    await operator.press("Reject it")
    for page in (operator, site):
        await page.says("rejected: The halls were in it.")
    await site.press("Dispute this version …")
    await site.fill("reason_code", "baseline")
    await site.fill("reason", "And yet.")
    await site.press("Dispute it")
    await site.says("expected what was said of this version and reason before")
    await site.press("Leave it as it is")
    assert "Reject …" not in await operator.text()


async def test_an_award_by_hand_an_order_that_is_ended_and_a_request_that_is_cancelled_say_what_they_cost(
    tmp_path: Path,
) -> None:
    async with looking(tmp_path) as (world, chromium), two_sites(world) as (fra, muc):
        request_id = await world.ask()
        heard = fra.subscribe("dispatch"), muc.subscribe("dispatch")
        for grid, signals, price in ((fra, heard[0], "80"), (muc, heard[1], "90")):
            await grid.offer(await hear(signals, DispatchRequest, request_id=request_id), 8 * MW, price)
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("● live")
        await page.js(f"location.hash = '#/request/{request_id}'")
        await page.press("Award muc-1")
        await page.says("Award muc-1 by hand?", "8 MW of volt-colo at EUR 90.00/MWh: EUR 540.00")
        await page.fill("reason", "nearer to the line")
        await page.press("Award")
        order = await hear(heard[1], DispatchOrder, state="ISSUED")
        site = await chromium.page(world.stack.console_link("participant", "volt-colo"))
        await site.says("● live")
        await site.js(f"location.hash = '#/order/{order.order_id}'")
        await site.press("Accept a part …")
        await site.fill("accepted", "8")
        await site.press("Accept this part")
        await page.says("✓ accepted", "✓ awarded")
        await page.press("End the order of muc-1")
        await page.says(
            "Cancel the order of muc-1?", "8 MW less end before they begin", "About EUR 540.00 for the rest"
        )
        await page.press("Cancel the order")
        await page.says("✕ cancelled")
        await page.press("Cancel the request …")
        await page.says("0 orders of 0 MW end, worth up to EUR 0.00")
        await page.fill("reason", "the line is back")
        await page.press("Cancel the request")
        await page.until("!document.querySelector('dialog[open]')")
        await page.until("!document.body.innerText.includes('Clear now')")
        await site.says("✕ cancelled")
        assert page.faults + site.faults == []


async def test_two_operators_at_one_request_see_what_the_other_does_and_who_comes_late_is_told(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium), world.site("acme-ai", "fra-1") as fra:
        request_id = await world.ask()
        one, other = [await chromium.page(world.stack.console_link("operator", "tso-north")) for _ in range(2)]
        for page in (one, other):
            await page.js(f"location.hash = '#/amend/{request_id}'")
            await page.says("revision 1", "Power, MW")
            await page.fill("power", "8" if page is one else "9")
            await page.press("Look it over …")
        await other.says("Amend it to 9 MW less in DE-LU?")
        await one.press("Amend it")
        await one.until("!document.querySelector('dialog[open]')")
        await one.says("8 MW less in DE-LU")
        await other.press("Amend it")
        await other.says("expected revision 2, got 1")
        await other.press("Leave it as it is")
        await other.js(f"location.hash = '#/request/{request_id}'")
        await other.says("8 MW less in DE-LU")

        heard = fra.subscribe("dispatch")
        await fra.offer(await hear(heard, DispatchRequest, request_id=request_id, revision=2), 8 * MW, "80")
        for page in (one, other):
            await page.says("EUR 80.00/MWh")
            await page.press("Clear now …")
        await one.press("Clear now")
        await one.until("/◔ (issued|received)/.test(document.body.innerText)")
        await other.until("/◔ (issued|received)/.test(document.body.innerText)")
        await other.press("Clear now")
        await other.until("document.querySelector('dialog .problem') || !document.querySelector('dialog[open]')")
        async with world.desk() as desk:
            assert len((await desk.get("/v1/orders")).json()["orders"]) == 1, "it was ordered once"
        assert [
            fault for page in (one, other) for fault in page.faults if "412" not in fault and "409" not in fault
        ] == []


async def test_a_broken_connection_is_said_and_what_came_meanwhile_is_caught_up(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium), Relay() as relay:
        relay.target = world.stack.gateway.address
        world.stack.dispatch.console.gateway = f"ws://127.0.0.1:{relay.port}"
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("● live", "Nothing is asked for.")
        relay.refuse_new()
        relay.cut()
        await page.says("connection broken, trying again", "What you see may be old.", "As of 2024-05-12 14:00")
        assert await page.js("!!document.querySelector('.stale')")
        await has_no_barrier(page)
        await world.ask(product="evening-peak")
        assert "evening-peak" not in await page.text()
        relay.admit()
        await page.says("● live", "Caught up: 1 signals came meanwhile.", "evening-peak")
        assert not await page.js("!!document.querySelector('.stale')")
        lists = [url for url in page.asked if "/v1/requests?" in url]
        assert len(lists) == 1, "what was missed was told, and the lists were not read again"
        assert page.faults == []


async def test_a_door_that_does_not_answer_for_a_while_is_said_and_what_it_would_have_told_is_read_later(
    tmp_path: Path,
) -> None:
    async with looking(tmp_path) as (world, chromium), Relay() as relay:
        relay.target, ready = world.stack.gateway.address, world.stack.dispatch.health
        world.stack.dispatch.console.gateway = f"ws://127.0.0.1:{relay.port}"
        relay.refuse_new()
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("The connection broke.")
        await world.ask(product="morning-peak")
        ready.set_ready(False, "expected by this test")
        relay.admit()
        await page.says("not ready", "◌ catching up")
        assert "Caught up" not in await page.text()
        ready.set_ready(True)
        await page.says("● live", "morning-peak")
        await world.ask(product="evening-peak")
        await page.says("evening-peak")

        ready.set_ready(False, "expected by this test")
        await told(world, a_spot_price())
        await page.says("not ready", "◌ catching up", "As of 2024-05-12 14:00")
        ready.set_ready(True)
        await page.says("● live", "Caught up: what could not be read was read.")

        ready.set_ready(False, "expected by this test")
        await page.go(f"{world.stack.api_url}/console?again")
        await page.says("not ready", "Load the page again to try again.")
        assert await page.js("sessionStorage.length") == 1, "the token is good still"
        ready.set_ready(True)
        await page.go(f"{world.stack.api_url}/console?once-more")
        await page.says("● live", "evening-peak")
        assert page.faults == []


async def test_a_stream_that_the_gateway_refuses_is_said_in_its_words_and_followed_once_there_is_room(
    tmp_path: Path,
) -> None:
    four = PATIENT | {"GRIDSIGNAL_GATEWAY_ORGANISATION_SUBSCRIPTIONS": "4"}
    async with looking(tmp_path, four) as (world, chromium):
        async with world.site("acme-ai", "fra-1") as fra:
            request_id = await world.ask()
            signals = fra.subscribe("dispatch")
            await hear(signals, DispatchRequest, request_id=request_id)
            page = await chromium.page(world.stack.console_link("participant", "acme-ai"))
            await page.says("expected at most 4 subscriptions of an organisation", "What you see may be old.")
            assert "● live" not in await page.text()
            await signals.aclose()
        await page.says("● live", "Asked for in your zones")
        assert page.faults == []


HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script> & &lt;b&gt;'


async def test_a_text_of_others_is_shown_as_text_wherever_it_stands(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        await told(world, a_grid_alert(text=HOSTILE, alert_id="em-1", provider="elsewhere", ends_at=None))
        request_id = await world.ask(text=HOSTILE, product=HOSTILE[:120])
        async with world.site("acme-ai", "fra-1") as fra:
            request = await hear(fra.subscribe("dispatch"), DispatchRequest, request_id=request_id)
            await fra.offer(request, 10 * MW, "80")
        operator = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await operator.says("Alerts", "onerror=", "</script> & &lt;b&gt;")
        await operator.js(f"location.hash = '#/request/{request_id}'")
        await operator.says("The book in merit order", "<script>document.title=2</script> & &lt;b&gt;")
        site = await chromium.page(world.stack.console_link("participant", "acme-ai"))
        await site.says("</script> & &lt;b&gt;")
        for page in (operator, site):
            assert await page.js("document.title") == "gridsignal console"
            assert await page.js("document.querySelectorAll('main img, main script').length") == 0
            assert page.faults == []


async def test_prices_below_nought_and_gaps_are_drawn_and_a_figure_that_ends_is_stale(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        await told(world, a_spot_price(prices_per_mwh=GAP), a_carbon_intensity())
        page = await chromium.page(world.stack.console_link("participant", "acme-ai"))
        await page.says("Price in DE-LU", "Now EUR 80.00/MWh", "Carbon in DE-LU", "Price in FR")
        await page.says("Declared to draw: fra-1", "Now 36 MW of 60 MW that its connection carries")
        await page.until("document.querySelectorAll('.chart canvas').length === 3")
        await has_no_barrier(page)
        drawn = "document.querySelector('.chart canvas').toDataURL()"
        light = await page.js(drawn)
        await page.look(360, 780, dark=True)
        await page.until(f"{drawn} !== {light!r}")
        assert await page.js("document.documentElement.scrollWidth") == 360
        await has_no_barrier(page)
        await told(world, a_spot_price(prices_per_mwh=[Decimal(-7)] * 24, revision=2))
        await page.says("Now -EUR 7.00/MWh")
        asked = sum("/v1/prices?" in url for url in page.asked)
        assert asked == 3, "two zones at first, and the one that was told of"
        assert page.faults == []


async def test_a_token_is_pasted_is_nowhere_but_in_the_tab_and_is_refused_when_it_has_expired(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        page = await chromium.page(f"{world.stack.api_url}/console")
        await page.says("Token of your organisation")
        await has_no_barrier(page)
        await page.fill("token", "not a token")
        await page.press("Sign in")
        await page.says("expected a valid bearer token")
        token = world.stack.token("operator", "tso-north")
        await page.fill("token", token)
        await page.press("Sign in")
        await page.says("Control room", "● live")
        assert await page.js("JSON.stringify([localStorage.length, document.cookie])") == '[0,""]'
        assert not any(token in url for url in page.asked)
        await page.press("Sign out")
        await page.says("Token of your organisation")
        assert await page.js("sessionStorage.length") == 0
        assert [fault for fault in page.faults if "401" not in fault] == []


async def test_who_may_only_read_is_offered_nothing_to_do_and_is_told_when_their_token_has_expired(
    tmp_path: Path,
) -> None:
    async with looking(tmp_path) as (world, chromium):
        assert world.stack.issuer is not None
        page = await chromium.page(f"{world.stack.api_url}/console")
        for life_s in (3600, 3):
            token = world.stack.issuer.mint(
                "operator", "tso-north", "tests", [SIGNAL_READ], life_s, world.stack.time.wall()
            )
            await page.fill("token", token)
            await page.press("Sign in")
            if life_s > 3:
                await page.says("Control room", "● live")
                assert "New request" not in await page.text()
                await page.press("Sign out")
        await page.until("/Token of your organisation[^]* expired/.test(document.body.innerText)")
        assert await page.js("sessionStorage.length") == 0


async def test_the_keyboard_alone_signs_in_asks_and_closes_a_question(tmp_path: Path) -> None:
    async with looking(tmp_path) as (world, chromium):
        page = await chromium.page(world.stack.console_link("operator", "tso-north"))
        await page.says("Control room", "● live")
        await page.key("Tab")
        assert await page.js("document.activeElement.innerText") == "Skip to the content"
        for _ in range(7):
            await page.key("Tab")
        assert await page.js("document.activeElement.innerText") == "New request"
        await page.key("Enter")
        await page.says("Power, MW")
        assert await page.js("document.activeElement.tagName") == "H1"
        await page.fill("power", "1")
        await page.js("document.querySelector('form button').focus()")
        await page.key("Enter")
        await page.says("Ask for 1 MW less in DE-LU?")
        await page.key("Escape")
        await page.until("!document.querySelector('dialog[open]')")
        assert page.faults == []
