// What was: orders of a month with their money, or whatever has an id.

import { find } from "../acting";
import type { State } from "../state";
import { day, money, mw, mwh, visible, way } from "../words";
import { Problem } from "./app";
import { Field } from "./new-request";
import { Card, Period, Standing, Table } from "./parts";

export function Find({ state }: { state: State }) {
  const { me, now } = state;
  const timezone = me?.zones[0]?.timezone ?? "UTC";
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    void find(String(form.get("month") ?? ""), String(form.get("id") ?? "").trim(), timezone);
  };
  return (
    <>
      <h1 tabIndex={-1}>Find an order</h1>
      <form class="new" onSubmit={submit}>
        <Field name="month" label="Of a month, such as 2024-05">
          <input id="month" name="month" type="month" pattern="[0-9]{4}-[0-9]{2}" defaultValue={day(now, timezone).slice(0, 7)} />
        </Field>
        <Field name="id" label="Or by the id of an order or a request">
          <input id="id" name="id" autocomplete="off" spellcheck={false} maxLength={64} />
        </Field>
        <div class="buttons">
          <button type="submit" disabled={state.busy}>
            Find
          </button>
        </div>
      </form>
      <Problem sentences={state.problem} />
      {state.found && <FoundOrders state={state} />}
    </>
  );
}

function FoundOrders({ state }: { state: State }) {
  const { found, me, now } = state;
  if (!found) return null;
  const totals = new Map<string, number>();
  for (const { settlement } of Object.values(found.settlements)) totals.set(settlement.currency, (totals.get(settlement.currency) ?? 0) + Number(settlement.total));
  const sums = [...totals].map(([currency, total]) => money(total.toFixed(2), currency)).join(", ");
  return (
    <div class="cards">
      <Card title="What was found" wide>
        <p>
          {found.said} {sums && `Settled: ${sums}.`}
        </p>
        {found.orders.length > 0 && (
          <Table label="Orders found" head={["Order", "Site", "State", "MW", "When", "Ordered", "Delivered", "Settled", "Total"]}>
            {found.orders.map(({ order, state: stands, accepted_w, ordered_wh, delivered_wh }) => {
              const settled = found.settlements[order.order_id];
              return (
                <tr key={order.order_id}>
                  <td class="mono">
                    <a href={`#/order/${order.order_id}`}>{order.order_id.slice(0, 8)}</a>
                  </td>
                  <td>{visible(order.site)}</td>
                  <td>
                    <Standing state={stands} />
                  </td>
                  <td class="number">
                    {mw(accepted_w ?? order.power_w)} {way(order.direction)}
                  </td>
                  <td>
                    <Period from={order.starts_at} to={order.ends_at} zone={order.zone} me={me} now={now} />
                  </td>
                  <td class="number">{mwh(ordered_wh)}</td>
                  <td class="number">{mwh(delivered_wh)}</td>
                  <td>{settled ? <Standing state={settled.state} /> : "–"}</td>
                  <td class="number">{settled ? money(settled.settlement.total, settled.settlement.currency) : "–"}</td>
                </tr>
              );
            })}
          </Table>
        )}
      </Card>
    </div>
  );
}
