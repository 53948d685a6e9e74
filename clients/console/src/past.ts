// What is over and has left the lists: found by its id, or by the month it was in.

import type { OrderView, RequestView, SettlementView, Statement } from "./answers";
import { Refused, ask, list } from "./doors";
import { change, state } from "./state";
import { fromLocal } from "./words";

const MINE = "/v1/orders";
const UUID = /^[\da-f]{8}-[\da-f-]{27}$/i;

const byOrder = (rows: SettlementView[]) => Object.fromEntries(rows.map((row) => [row.settlement.order_id, row]));

/** One order with its history, its meters and what it came to. Throws Refused. */
export async function loadOrder(id: string): Promise<void> {
  const { token } = state();
  if (!token) return;
  const path = `${MINE}/${encodeURIComponent(id)}`;
  const order = await ask<OrderView>(path, token);
  const settled = await ask<SettlementView>(`${path}/settlement`, token).catch((fault) => {
    if (fault instanceof Refused && fault.status === 404) return fault.sentences.join(" "); // why there is none so far
    throw fault;
  });
  const settlements = typeof settled === "string" ? {} : byOrder([settled]);
  if (state().route[1] !== id) return; // another is looked at by now
  change({ looked: { said: typeof settled === "string" ? settled : "", orders: [order], settlements } });
}

/** Orders of a month ("2024-05", the market's) with what they came to; at most as many as lists give. Throws Refused. */
export async function findMonth(month: string, timezone: string, token: string): Promise<void> {
  const [year, number] = month.split("-").map(Number);
  if (!year || !number) throw new Refused(0, [`expected a month such as 2024-05, got ${month.slice(0, 20)}`]);
  const next = `${number === 12 ? year + 1 : year}-${String((number % 12) + 1).padStart(2, "0")}`;
  const [from, to] = [month, next].map((each) => new Date(fromLocal(`${each}-01T00:00`, timezone)).toISOString());
  const period = `from=${from}&to=${to}`;
  const [orders, settlements, statement] = await Promise.all([
    list<OrderView>(`${MINE}?${period}`, "orders", token),
    list<SettlementView>(`/v1/settlements?${period}`, "settlements", token),
    ask<Statement>(`/v1/statements/${month}?limit=1`, token),
  ]);
  const said = orders.length === 0 ? `There was no order in ${month}.` : `${orders.length} ${orders.length === 1 ? "order" : "orders"} in ${month}.`;
  change({ found: { said, orders, settlements: byOrder(settlements), statement } });
}

/** The page of what has this id: an order, or a request. Throws Refused where there is neither. */
export async function pageOf(id: string, token: string): Promise<string> {
  if (!UUID.test(id)) throw new Refused(0, [`expected the id of an order or a request, such as 018f6b3c-7a00-7000-8000-000000000003, got ${id.slice(0, 60)}`]);
  const there = async (path: string) => {
    try {
      return await ask<OrderView | RequestView>(`${path}/${encodeURIComponent(id)}`, token);
    } catch (fault) {
      if (fault instanceof Refused && fault.status === 404) return null;
      throw fault;
    }
  };
  if (await there(MINE)) return `#/order/${id}`;
  if (await there("/v1/requests")) return `#/request/${id}`;
  throw new Refused(404, ["There is no order and no request of this id, or you may not see it."]);
}
