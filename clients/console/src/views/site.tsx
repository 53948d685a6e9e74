// The data center: price and carbon of its zones, its orders and what they are worth, its offers and why they lost.

import { useMemo } from "preact/hooks";
import type { Curve, Declared, Point } from "../answers";
import { Legend, Steps } from "../charts";
import type { Series } from "../charts";
import { isDisputed, isLive, isOpen, zoneTime } from "../state";
import type { State } from "../state";
import { money, mw, mwh, price, state as word, visible, way } from "../words";
import { inForce } from "../watching";
import { Alerts } from "./alerts";
import { At, Card, Countdown, Period, Standing, Table } from "./parts";

export function Site({ state }: { state: State }) {
  const alerts = Object.values(state.alerts).filter((view) => inForce(view, state.now));
  const isSite = state.me?.role === "participant";
  return (
    <>
      <h1 tabIndex={-1}>{isSite ? `Data center: ${state.me?.sites.map(visible).join(", ")}` : "Prices and carbon"}</h1>
      <div class="cards">
        {isSite && alerts.length > 0 && (
          <Card title="Alerts" wide>
            <Alerts state={state} rows={alerts} />
          </Card>
        )}
        {isSite && <Asked state={state} />}
        {isSite && <Ordered state={state} />}
        {(state.me?.zones ?? []).map((each) => (
          <Zone key={each.zone} state={state} {...each} />
        ))}
        {isSite && Object.values(state.declared).map((each) => <Declaration key={each.site} state={state} declared={each} />)}
        {isSite && <Offered state={state} />}
        {isSite && <Settled state={state} />}
      </div>
    </>
  );
}

function Asked({ state }: { state: State }) {
  const open = Object.values(state.requests).filter(isOpen);
  return (
    <Card title="Asked for in your zones" wide empty={!open.length && "Nothing is asked for."}>
      <Table label="Requests" head={["Request", "Zone", "State", "MW", "When", "Gate closes", "Price cap"]}>
        {open.map(({ request, state: stands }) => (
          <tr key={request.request_id}>
            <td>
              <a href={`#/request/${encodeURIComponent(request.request_id)}`}>{visible(request.product)}</a>
              {request.text && <span class="quiet text"> {visible(request.text)}</span>}
            </td>
            <td>{request.zone}</td>
            <td>
              <Standing state={stands} />
            </td>
            <td class="number">
              {mw(request.power_w)} {way(request.direction)}
            </td>
            <td>
              <Period from={request.starts_at} to={request.ends_at} zone={request.zone} me={state.me} now={state.now} />
            </td>
            <td>
              <Countdown to={request.gate_closure_at} now={state.now} />
            </td>
            <td class="number">{price(request.price_cap_per_mwh, request.currency)}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function Ordered({ state }: { state: State }) {
  const orders = Object.values(state.orders).sort((a, b) => Number(isLive(b)) - Number(isLive(a)) || Date.parse(b.order.starts_at) - Date.parse(a.order.starts_at));
  return (
    <Card title="Your orders" wide empty={!orders.length && "You have no order."}>
      <Table label="Your orders" head={["Site", "State", "MW", "When", "Price", "Ordered", "Delivered", "Amount so far"]}>
        {orders.map((view) => (
          <tr key={view.order.order_id}>
            <td>
              <a href={`#/order/${view.order.order_id}`}>{visible(view.order.site)}</a>
            </td>
            <td>
              <Standing state={view.state} />
              {(view.state === "ISSUED" || view.state === "RECEIVED") && (
                <>
                  {" "}
                  <a href={`#/order/${view.order.order_id}`}>answer</a> <Countdown to={view.order.respond_by} now={state.now} />
                </>
              )}
            </td>
            <td class="number">
              {mw(view.accepted_w ?? view.order.power_w)} {way(view.order.direction)}
            </td>
            <td>
              <Period from={view.order.starts_at} to={view.order.ends_at} zone={view.order.zone} me={state.me} now={state.now} />
            </td>
            <td class="number">{price(view.order.price_per_mwh, view.currency)}</td>
            <td class="number">{mwh(view.ordered_wh)}</td>
            <td class="number">{view.delivered_wh == null ? <span class="quiet">not metered yet</span> : mwh(view.delivered_wh)}</td>
            <td class="number">{money(view.amount, view.currency)}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function series(curves: Curve[], name: (curve: Curve) => string, value: (point: Point) => unknown): Series[] {
  return curves.map((curve) => ({
    label: name(curve),
    points: curve.points.map((point) => {
      const found = value(point);
      return { from: Date.parse(point.starts_at), to: Date.parse(point.ends_at), value: found == null ? null : Number(found) };
    }),
  }));
}

/** The value that holds now; undefined: none does. */
function present(curve: Series, now: number): number | undefined {
  return curve.points.find((each) => each.from <= now && now < each.to)?.value ?? undefined;
}

function Zone({ state, zone, timezone, currency }: { state: State; zone: string; timezone: string; currency: string }) {
  const [priced, footprint] = [state.prices[zone], state.carbon[zone]];
  const prices = useMemo(() => series(priced ?? [], (curve) => `${word(String(curve.product))}, ${curve.provider}`, (point) => point.price_per_mwh), [priced]);
  const carbon = useMemo(() => series(footprint ?? [], (curve) => `${word(String(curve.accounting))}, ${curve.provider}`, (point) => point.grams_per_kwh), [footprint]);
  return (
    <>
      <Chart title={`Price in ${zone}`} series={prices} unit={`${currency}/MWh`} timezone={timezone} now={state.now} said={(value) => price(String(value), currency)} />
      <Chart title={`Carbon in ${zone}`} series={carbon} unit="g CO2/kWh" timezone={timezone} now={state.now} said={(value) => `${value} g CO2/kWh`} />
    </>
  );
}

function Chart({ title, series: shown, none = "No figures since yesterday.", unit, timezone, now, said }: { title: string; series: Series[]; none?: string; unit: string; timezone: string; now: number; said: (value: number) => string }) {
  const first = shown[0];
  const value = first && present(first, now);
  return (
    <Card title={title} empty={!first && none}>
      <p class="present">{value === undefined ? "✕ No figure for now" : `Now ${said(value)}`}</p>
      <Steps series={shown} unit={unit} timezone={timezone} now={now} label={`${title} over time, in ${unit}. ${value === undefined ? "There is no figure for now." : `Now ${said(value)}.`}`} />
      <Legend series={shown} />
    </Card>
  );
}

/** The plan of a site as the grid knows it: what it is to draw while nothing is asked of it. */
function Declaration({ state, declared }: { state: State; declared: Declared }) {
  const site = state.sites.find((each) => each.site === declared.site);
  const shown = useMemo(
    () => [{ label: "declared", points: declared.stretches.map((each) => ({ from: Date.parse(each.starts_at), to: Date.parse(each.ends_at), value: each.power_w / 1e6 })) }],
    [declared],
  );
  return (
    <Chart
      title={`Declared to draw: ${visible(declared.site)}`}
      series={declared.stretches.length ? shown : []}
      none="It has declared no baseline from now on: it can't offer."
      unit="MW"
      timezone={zoneTime(state.me, site?.zone ?? "")}
      now={state.now}
      said={(value) => `${mw(value * 1e6)}${site ? ` of ${mw(site.capacity_w)} that its connection carries; ${mw(Math.max(0, value * 1e6 - (site.minimum_load_w ?? 0)))} of it could be shed` : ""}`}
    />
  );
}

function Offered({ state }: { state: State }) {
  const offers = Object.values(state.offers).sort((a, b) => Date.parse(b.receipt.received_at) - Date.parse(a.receipt.received_at));
  return (
    <Card title="Your offers" wide empty={!offers.length && "You have no offer."}>
      <Table label="Your offers" head={["Site", "Offer", "State", "MW", "Price", "Received", "Why"]}>
        {offers.map((view) => {
          const { offer } = view;
          const option = offer.options.find((each) => each.option === view.option) ?? offer.options[0];
          const currency = state.requests[offer.request_id ?? ""]?.request.currency ?? "EUR";
          return (
            <tr key={offer.offer_id}>
              <td>{visible(offer.site)}</td>
              <td class="mono">
                <a href={`#/offer/${encodeURIComponent(offer.offer_id)}`}>{visible(offer.offer_id.slice(0, 13))}</a>
              </td>
              <td>
                <Standing state={view.state} />
              </td>
              <td class="number">{mw(view.awarded_w ?? option?.power_w)}</td>
              <td class="number">{price(option?.price_per_mwh, currency)}</td>
              <td>
                <At at={view.receipt.received_at} zone={offer.zone} me={state.me} now={state.now} />
              </td>
              <td>{view.codes.map(word).join(", ")}</td>
            </tr>
          );
        })}
      </Table>
    </Card>
  );
}

function Settled({ state }: { state: State }) {
  const rows = Object.values(state.settlements).sort((a, b) => Date.parse(b.logged_at) - Date.parse(a.logged_at));
  return (
    <Card title="What orders came to" wide empty={!rows.length && "Nothing is settled so far."}>
      <Table label="Settlements" head={["Site", "Order", "State", "Version", "Delivered", "Total", "Written"]}>
        {rows.map(({ settlement, disputes, state: stands, logged_at }) => (
          <tr key={settlement.order_id}>
            <td>{visible(settlement.site)}</td>
            <td class="mono">
              <a href={`#/order/${settlement.order_id}`}>{settlement.order_id.slice(0, 8)}</a>
            </td>
            <td>
              <Standing state={stands} />
              {isDisputed({ settlement, disputes }) && ", disputed"}
            </td>
            <td>{settlement.version}</td>
            <td class="number">{mwh(settlement.intervals.reduce((sum, each) => sum + (each.delivered_wh ?? 0), 0))}</td>
            <td class="number">{money(settlement.total, settlement.currency)}</td>
            <td>
              <At at={logged_at} zone={settlement.zone} me={state.me} now={state.now} />
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}
