// What was: orders of a month with their money, or whatever has an id.

import { find, save } from "../acting";
import type { Statement } from "../answers";
import type { State } from "../state";
import { day, kilograms, money, mw, mwh, state as word, visible, way } from "../words";
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
  return (
    <div class="cards">
      <Card title="What was found" wide>
        <p>{found.said}</p>
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
      {found.statement && <MonthsStatement state={state} statement={found.statement} />}
    </div>
  );
}

/** What the orders that began in a month came to, in money and CO2; to save as a page to print, and as a table. */
function MonthsStatement({ state, statement }: { state: State; statement: Statement }) {
  const { month, count, unsettled, totals, carbon } = statement;
  const kept = (path: string, what: string, type: string, ending: string) => (
    <button type="button" class="plain" disabled={state.busy} onClick={() => void save(`${path}/${month}`, type, `${what}-${month}.${ending}`)}>
      Save the {what === "statement" ? "statement" : "matching report"} {ending === "csv" ? "as CSV" : "to print"}
    </button>
  );
  return (
    <Card title={`Statement of ${month}`} wide>
      <p>
        {count} {count === 1 ? "order" : "orders"} began in it and {count === 1 ? "is" : "are"} over{unsettled > 0 && `, ${unsettled} not settled so far`}.
      </p>
      {totals.map((each) => (
        <p key={each.currency} class="present">
          {money(each.total, each.currency)} for {mwh(each.delivered_wh)} of {mwh(each.ordered_wh)}
        </p>
      ))}
      {carbon.length > 0 && (
        <Table label="CO2" head={["Accounting", "Zone", "By which figures", "Avoided, kg CO2", "Emitted, kg CO2", "Not known"]}>
          {carbon.map((each) => (
            <tr key={`${each.accounting}|${each.zone}|${each.basis}`}>
              <td>{word(each.accounting)}</td>
              <td>{each.zone}</td>
              <td>{each.basis ? word(each.basis) : "none were known"}</td>
              <td class="number">{kilograms(each.avoided_grams)}</td>
              <td class="number">{kilograms(each.emitted_grams)}</td>
              <td class="number">{mwh(each.unknown_wh)}</td>
            </tr>
          ))}
        </Table>
      )}
      <div class="buttons">
        {kept("/v1/statements", "statement", "text/html", "html")}
        {kept("/v1/statements", "statement", "text/csv", "csv")}
        {state.me?.role === "participant" && kept("/v1/reports/matching", "matching", "text/html", "html")}
      </div>
    </Card>
  );
}
