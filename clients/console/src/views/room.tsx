// The control room: what is open, what runs, what is wrong, whether the figures are of now.

import type { Curve, OrderView, SettlementView } from "../answers";
import { isDisputed, isLive, isOpen } from "../state";
import type { State } from "../state";
import { money, mw, mwh, state as word, visible, way } from "../words";
import { inForce } from "../watching";
import { Alerts, Contacts, outOfReach } from "./alerts";
import { At, Card, Countdown, Period, Standing, Table } from "./parts";

export function Room({ state }: { state: State }) {
  const open = Object.values(state.requests)
    .filter(isOpen)
    .sort((a, b) => Date.parse(a.request.gate_closure_at) - Date.parse(b.request.gate_closure_at));
  const orders = Object.values(state.orders).filter(isLive);
  const alerts = Object.values(state.alerts).filter((view) => inForce(view, state.now));
  const disputed = Object.values(state.settlements).filter(isDisputed);
  const done = Object.values(state.requests).filter((view) => !isOpen(view));
  return (
    <>
      <h1 tabIndex={-1}>Control room</h1>
      <div class="cards">
        <Card title="Open requests" wide empty={!open.length && "Nothing is asked for."}>
          <Requests state={state} rows={open} gate />
        </Card>
        <Card title="Live orders" wide empty={!orders.length && "No order is under way."}>
          <Orders state={state} rows={orders} />
        </Card>
        {disputed.length > 0 && (
          <Card title="Disputes without an answer" wide>
            <Disputed state={state} rows={disputed} />
          </Card>
        )}
        <Card title="Alerts" empty={!alerts.length && "No alert is in force."}>
          <Alerts state={state} rows={alerts} />
        </Card>
        <Card title="Sites out of reach" empty={!outOfReach(state.contacts).length && (state.contacts.length ? "Every site with a failsafe profile is heard." : "No site has a failsafe profile.")}>
          <Contacts state={state} rows={outOfReach(state.contacts)} />
        </Card>
        <Card title="Figures" wide empty={false}>
          <Figures state={state} />
        </Card>
        {done.length > 0 && (
          <Card title="Over in the last day" wide>
            <Requests state={state} rows={done} />
          </Card>
        )}
      </div>
    </>
  );
}

function Requests({ state, rows, gate }: { state: State; rows: State["requests"][string][]; gate?: boolean }) {
  const { me, now } = state;
  return (
    <Table label={gate ? "Open requests" : "Requests that are over"} head={["Request", "Zone", "State", "Asked, MW", "When", ...(gate ? ["Gate closes"] : []), "Offers"]}>
      {rows.map(({ request, state: stands, offers }) => (
        <tr key={request.request_id}>
          <td>
            <a href={`#/request/${encodeURIComponent(request.request_id)}`}>{visible(request.product)}</a>
            {request.run_mode !== "LIVE" && <span class="quiet"> {word(request.run_mode)}</span>}
            <span class="mono quiet"> {request.request_id.slice(0, 8)}</span>
          </td>
          <td>{request.zone}</td>
          <td>
            <Standing state={stands} />
          </td>
          <td class="number">
            {mw(request.power_w)} {way(request.direction)}
          </td>
          <td>
            <Period from={request.starts_at} to={request.ends_at} zone={request.zone} me={me} now={now} />
          </td>
          {gate && (
            <td>
              <Countdown to={request.gate_closure_at} now={now} />
            </td>
          )}
          <td>{offers}</td>
        </tr>
      ))}
    </Table>
  );
}

/** Ordered beside delivered, as far as meters have spoken. */
export function Orders({ state, rows }: { state: State; rows: OrderView[] }) {
  const { me, now } = state;
  return (
    <Table label="Orders" head={["Site", "State", "Power, MW", "When", "Ordered", "Delivered", "Request"]}>
      {rows.map((view) => (
        <tr key={view.order.order_id}>
          <td>{visible(view.order.site)}</td>
          <td>
            <Standing state={view.state} />
            {(view.state === "ISSUED" || view.state === "RECEIVED") && (
              <span class="quiet">
                {" "}
                answer <Countdown to={view.order.respond_by} now={now} />
              </span>
            )}
          </td>
          <td class="number">
            {mw(view.accepted_w ?? view.order.power_w)} {way(view.order.direction)}
          </td>
          <td>
            <Period from={view.order.starts_at} to={view.order.ends_at} zone={view.order.zone} me={me} now={now} />
          </td>
          <td class="number">{mwh(view.ordered_wh)}</td>
          <td class="number">
            {view.delivered_wh == null ? <span class="quiet">not metered yet</span> : mwh(view.delivered_wh)}
          </td>
          <td>
            <a href={`#/request/${encodeURIComponent(view.order.request_id)}`}>
              <span class="mono">{view.order.request_id.slice(0, 8)}</span>
            </a>
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** What waits for the operator's word, by what each came to. */
function Disputed({ state, rows }: { state: State; rows: SettlementView[] }) {
  return (
    <Table label="Disputes without an answer" head={["Order", "Site", "Version", "Total", "Window ends"]}>
      {rows.map(({ settlement, disputable_until }) => (
        <tr key={settlement.order_id}>
          <td class="mono">
            <a href={`#/order/${settlement.order_id}`}>{settlement.order_id.slice(0, 8)}</a>
          </td>
          <td>{visible(settlement.site)}</td>
          <td>{settlement.version}</td>
          <td class="number">{money(settlement.total, settlement.currency)}</td>
          <td>
            <At at={disputable_until} zone={settlement.zone} me={state.me} now={state.now} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

interface Figure {
  zone: string;
  what: string;
  until: string;
  logged: string;
}

/** How far each zone's figures reach; one that doesn't reach the present is stale. */
function Figures({ state }: { state: State }) {
  const figures = [
    ...reach(state.prices, (curve) => `${word(String(curve.product))} price`),
    ...reach(state.carbon, (curve) => `${word(String(curve.accounting))} carbon`),
  ];
  const none = (state.me?.zones ?? []).filter(({ zone }) => !figures.some((each) => each.zone === zone));
  return (
    <Table label="Figures" head={["Zone", "Figure", "Reaches until", "Read"]}>
      {figures.map((each) => {
        const stale = Date.parse(each.until) <= state.now;
        return (
          <tr key={each.zone + each.what} class={stale ? "old" : undefined}>
            <td>{each.zone}</td>
            <td>{visible(each.what)}</td>
            <td>
              {stale && <strong>✕ stale: </strong>}
              <At at={each.until} zone={each.zone} me={state.me} now={state.now} />
            </td>
            <td>
              <At at={each.logged} zone={each.zone} me={state.me} now={state.now} />
            </td>
          </tr>
        );
      })}
      {none.map(({ zone }) => (
        <tr key={zone} class="old">
          <td>{zone}</td>
          <td colSpan={3}>✕ no figures since yesterday</td>
        </tr>
      ))}
    </Table>
  );
}

function reach(curves: Record<string, Curve[]>, name: (curve: Curve) => string): Figure[] {
  return Object.entries(curves).flatMap(([zone, known]) =>
    known.flatMap((curve) => {
      const last = curve.points.filter((each) => (each.price_per_mwh ?? each.grams_per_kwh) != null).at(-1);
      const logged = curve.points.map((each) => String(each.logged_at)).sort().at(-1);
      return last && logged ? [{ zone, what: `${name(curve)}, ${curve.provider}`, until: last.ends_at, logged }] : [];
    }),
  );
}
