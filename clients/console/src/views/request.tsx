// One request: what was asked, who offered, why each won or lost, what became of it, and what can be done now.

import type { Book, OfferLine, OptionLine, OrderView, Request } from "../answers";
import { MeritOrder } from "../charts";
import { act } from "../acting";
import { refresh } from "../session";
import { change, isLive, isOpen, mayAct, zoneTime } from "../state";
import type { Confirm, State } from "../state";
import { money, mw, mwh, price, state as word, time, visible, way } from "../words";
import { Problem, dismiss } from "./app";
import { At, Card, Countdown, Fact, Period, Standing, Table } from "./parts";

export function RequestPage({ state, id }: { state: State; id: string }) {
  const view = state.requests[id];
  if (!view) return <h1 tabIndex={-1}>No such request, or you may not see it</h1>;
  const { request } = view;
  const { me, now } = state;
  const book = state.books[id];
  const orders = Object.values(state.orders).filter((each) => each.order.request_id === id);
  const may = me !== null && mayAct(me) && request.operator === me.organisation;
  const when = { zone: request.zone, me, now };
  return (
    <>
      <h1 tabIndex={-1}>
        {mw(request.power_w)} {way(request.direction)} in {request.zone}
      </h1>
      <p>
        <Standing state={view.state} /> <span class="mono quiet">{request.request_id}</span>
      </p>
      <dl class="facts">
        <Fact name="When">
          <Period from={request.starts_at} to={request.ends_at} {...when} />
        </Fact>
        <Fact name="Gate closes">
          <At at={request.gate_closure_at} {...when} />, <Countdown to={request.gate_closure_at} now={now} />
        </Fact>
        <Fact name="Decided by">
          <At at={request.decision_deadline} {...when} />, {word(request.clearing_mode)}
        </Fact>
        <Fact name="Product">
          {visible(request.product)}, {word(request.purpose)}
        </Fact>
        <Fact name="Price cap">{price(request.price_cap_per_mwh, request.currency)}</Fact>
        <Fact name="Paid">{word(request.pricing)}</Fact>
        <Fact name="Run">{word(request.run_mode)}</Fact>
        <Fact name="Offered, awarded">{book ? `${mw(book.offered_w)}, ${mw(book.awarded_w)}` : "–"}</Fact>
      </dl>
      {request.text && <p class="text">{visible(request.text)}</p>}
      {may && isOpen(view) && <Actions request={request} book={book} orders={orders} now={now} />}
      <div class="cards">
        {book && (
          <Card title="The book in merit order" wide empty={!book.offers.length && "Nobody has offered so far."}>
            <MeritOrder request={request} offers={book.offers} />
            <Lines book={book} state={state} mayAward={may && isOpen(view)} />
          </Card>
        )}
        <Card title="Orders" wide empty={!orders.length && "No order was given."}>
          <OrderLines state={state} orders={orders} mayAct={may} />
        </Card>
      </div>
    </>
  );
}

// --- what can be done ------------------------------------------------------------------------------------------

const confirmed = (confirm: Confirm): void => change({ confirm, problem: [] });

/** Runs it, and closes the question once it was done; what was refused stays in sight. */
const doing =
  (request: string, path: string, body: (reason: string) => unknown) =>
  async (reason: string): Promise<void> => {
    if ((await act(path, body(reason))) === null) return;
    dismiss();
    await refresh(request);
  };

const hours = (from: string, to: string | null): number => (to ? (Date.parse(to) - Date.parse(from)) / 36e5 : 0);
const worth = (watts: number, perMwh: string | null, from: string, to: string | null): number => (watts / 1e6) * Number(perMwh ?? 0) * hours(from, to);
const path = (id: string, what: string): string => `/v1/requests/${encodeURIComponent(id)}/${what}`;

/** About what merit order would take now: whole options, cheapest first, until what is asked for is there. */
export function foreseen(request: Request, offers: OfferLine[]): { watts: number; sites: number; amount: number } {
  let [watts, sites, amount] = [0, 0, 0];
  for (const line of offers.filter((each) => each.state === "LIVE" || each.state === "STANDBY")) {
    const option = cheapest(line);
    const left = request.power_w - watts;
    if (!option || left <= 0) continue;
    const taken = Math.min(option.power_w, left);
    if (taken < option.power_w && (!option.divisible || taken < option.min_power_w)) continue;
    watts += taken;
    sites += 1;
    amount += worth(taken, option.effective_price_per_mwh ?? option.price_per_mwh, option.starts_at, option.ends_at);
  }
  return { watts, sites, amount };
}

const cheapest = (line: OfferLine): OptionLine | undefined =>
  [...line.options].sort((a, b) => Number(a.effective_price_per_mwh ?? a.price_per_mwh) - Number(b.effective_price_per_mwh ?? b.price_per_mwh))[0];

function Actions({ request, book, orders, now }: { request: Request; book: Book | undefined; orders: OrderView[]; now: number }) {
  const id = request.request_id;
  const clear = () => {
    const would = foreseen(request, book?.offers ?? []);
    confirmed({
      title: "Clear this request now?",
      lines: [
        `${mw(request.power_w)} are asked for, ${mw(book?.offered_w)} are offered.`,
        `In merit order about ${mw(would.watts)} are called from ${would.sites} sites, for about ${money(would.amount.toFixed(2), request.currency)}. What is called may differ from this where offers come or go meanwhile.`,
        ...(Date.parse(request.gate_closure_at) > now ? ["The gate is still open: nobody can offer afterwards."] : []),
      ],
      action: "Clear now",
      reason: "welcome",
      run: doing(id, path(id, "clear"), (reason) => ({ reason })),
    });
  };
  const cancel = () => {
    const live = orders.filter(isLive);
    const watts = live.reduce((sum, each) => sum + (each.accepted_w ?? each.order.power_w), 0);
    const amount = live.reduce((sum, { order }) => sum + worth(order.power_w, order.price_per_mwh, order.starts_at, order.ends_at), 0);
    confirmed({
      title: "Cancel this request?",
      lines: [
        `${live.length} orders of ${mw(watts)} end, worth up to ${money(amount.toFixed(2), request.currency)}. What runs is released now and paid until now.`,
        "All offers are released. It can't be undone.",
      ],
      action: "Cancel the request",
      reason: "needed",
      run: doing(id, path(id, "cancel"), (reason) => ({ reason })),
    });
  };
  return (
    <div class="buttons">
      <button type="button" onClick={clear} disabled={!book}>
        Clear now …
      </button>
      {book?.state === "OPEN" && (
        <a class="button" href={`#/amend/${encodeURIComponent(id)}`}>
          Amend …
        </a>
      )}
      <button type="button" class="plain" onClick={cancel}>
        Cancel the request …
      </button>
    </div>
  );
}

function award(request: Request, line: OfferLine, option: OptionLine, open: number): void {
  const watts = option.divisible ? Math.max(option.min_power_w, Math.min(option.power_w, open)) : option.power_w;
  const amount = money(worth(watts, option.price_per_mwh, option.starts_at, option.ends_at).toFixed(2), request.currency);
  confirmed({
    title: `Award ${visible(line.site)} by hand?`,
    lines: [`${mw(watts)} of ${visible(line.participant)} at ${price(option.price_per_mwh, request.currency)}: ${amount} if all of it is delivered.`, "The reason is kept for the auditor: why not by merit order."],
    action: "Award",
    reason: "needed",
    run: doing(request.request_id, path(request.request_id, "award"), (reason) => ({
      reason,
      picks: [{ participant: line.participant, offer_id: line.offer_id, option: option.option, power_w: watts }],
    })),
  });
}

function Lines({ book, state, mayAward }: { book: Book; state: State; mayAward: boolean }) {
  const { request } = book;
  const open = Math.max(0, request.power_w - book.awarded_w);
  const callable = (line: OfferLine) => line.state === "LIVE" || line.state === "STANDBY";
  const byHand = mayAward && book.offers.some(callable);
  return (
    <Table label="Offers in merit order" head={["Place", "Site", "Offer", "State", "MW", "Price", "Effective price", ...(byHand ? ["By hand"] : []), "Why"]}>
      {book.offers.map((line) => {
        const option = line.options.find((each) => each.option === line.option) ?? cheapest(line);
        return (
          <tr key={`${line.participant}|${line.offer_id}`}>
            <td>{line.place}</td>
            <td>
              {visible(line.site)} <span class="quiet">{visible(line.participant)}</span>
            </td>
            <td class="mono">{line.offer_id.slice(0, 13)}</td>
            <td>
              <Standing state={line.state} />
            </td>
            <td class="number">{mw(line.awarded_w ?? option?.power_w)}</td>
            <td class="number">{price(option?.price_per_mwh, request.currency)}</td>
            <td class="number">{price(option?.effective_price_per_mwh, request.currency)}</td>
            {byHand && (
              <td>
                {callable(line) && option && (
                  <button type="button" class="plain" aria-label={`Award ${visible(line.site)}`} disabled={state.busy} onClick={() => award(request, line, option, open)}>
                    Award …
                  </button>
                )}
              </td>
            )}
            <td class="why">{visible(line.reason)}</td>
          </tr>
        );
      })}
    </Table>
  );
}

function release({ order, ordered_wh, delivered_wh, currency, accepted_w }: OrderView, now: number): void {
  const begun = Date.parse(order.starts_at) <= now;
  const left = begun ? new Date(now).toISOString() : order.starts_at;
  const watts = accepted_w ?? order.power_w;
  confirmed({
    title: begun ? `Release ${visible(order.site)} now?` : `Cancel the order of ${visible(order.site)}?`,
    lines: [
      `${mw(watts)} ${way(order.direction)} end ${begun ? "now" : "before they begin"}; ${mwh(ordered_wh)} were ordered, ${delivered_wh == null ? "nothing is metered so far" : `${mwh(delivered_wh)} are metered`}.`,
      `About ${money(worth(watts, order.price_per_mwh, left, order.ends_at).toFixed(2), currency)} for the rest are not paid.`,
    ],
    action: begun ? "Release now" : "Cancel the order",
    reason: "welcome",
    run: doing(order.request_id, `/v1/orders/${encodeURIComponent(order.order_id)}/${begun ? "release" : "cancel"}`, (reason) => ({ reason, revision: order.revision })),
  });
}

/** Another end: later, as far as the site has offered, or earlier. */
function moveEnd({ order, extendable_until, currency, accepted_w }: OrderView, timezone: string): void {
  const ends_at = order.ends_at ?? order.starts_at;
  const latest = extendable_until && Date.parse(extendable_until) > Date.parse(ends_at) ? extendable_until : null;
  const watts = accepted_w ?? order.power_w;
  const quarter = worth(watts, order.price_per_mwh, "1970-01-01T00:00:00Z", "1970-01-01T00:15:00Z");
  confirmed({
    title: `Move the end of the order of ${visible(order.site)}?`,
    lines: [
      `${mw(watts)} ${way(order.direction)} end at ${time(ends_at, timezone)}. ${latest ? `Its site has offered until ${time(latest, timezone)}.` : "Its site has offered no longer: it can only end earlier."}`,
      `Each quarter of an hour more or less is about ${money(quarter.toFixed(2), currency)}.`,
    ],
    moment: { label: "Its new end, the zone's market time", timezone, at: Date.parse(latest ?? ends_at) },
    action: "Move its end",
    reason: "welcome",
    run: (reason, at) => {
      const what = at > Date.parse(ends_at) ? "extend" : "release";
      const body = { reason, revision: order.revision, ends_at: new Date(at).toISOString() };
      return doing(order.request_id, `/v1/orders/${encodeURIComponent(order.order_id)}/${what}`, () => body)(reason);
    },
  });
}

function OrderLines({ state, orders, mayAct }: { state: State; orders: OrderView[]; mayAct: boolean }) {
  const { me, now, settlements } = state;
  const may = mayAct && orders.some(isLive);
  return (
    <>
      <Table label="Orders of this request" head={["Site", "State", "MW", "When", "Price", "Ordered", "Delivered", "Amount", "Settled", ...(may ? ["Act"] : [])]}>
        {orders.map((view) => {
          const { order } = view;
          const settled = settlements[order.order_id];
          return (
            <tr key={order.order_id}>
              <td>
                <a href={`#/order/${order.order_id}`}>{visible(order.site)}</a>
              </td>
              <td>
                <Standing state={view.state} />
              </td>
              <td class="number">{mw(view.accepted_w ?? order.power_w)}</td>
              <td>
                <Period from={order.starts_at} to={order.ends_at} zone={order.zone} me={me} now={now} />
              </td>
              <td class="number">{price(order.price_per_mwh, view.currency)}</td>
              <td class="number">{mwh(view.ordered_wh)}</td>
              <td class="number">{view.delivered_wh == null ? <span class="quiet">not metered yet</span> : mwh(view.delivered_wh)}</td>
              <td class="number">{money(view.amount, view.currency)}</td>
              <td>
                {settled ? (
                  <>
                    <Standing state={settled.state} /> {money(settled.settlement.total, settled.settlement.currency)}
                  </>
                ) : (
                  "–"
                )}
              </td>
              {may && (
                <td>
                  {isLive(view) && (
                    <button type="button" class="plain" aria-label={`End the order of ${visible(order.site)}`} disabled={state.busy} onClick={() => release(view, now)}>
                      End …
                    </button>
                  )}{" "}
                  {isLive(view) && order.ends_at && (
                    <button type="button" class="plain" aria-label={`Move the end of the order of ${visible(order.site)}`} disabled={state.busy} onClick={() => moveEnd(view, zoneTime(me, order.zone))}>
                      Move its end …
                    </button>
                  )}
                </td>
              )}
            </tr>
          );
        })}
      </Table>
      {!state.confirm && <Problem sentences={state.problem} />}
    </>
  );
}
