// One order from its first word to its money, also one of last month: who did what, what meters showed, what it came to.

import { act, saveProof, tell } from "../acting";
import type { Me, Metered, OrderView, SettlementView } from "../answers";
import { Legend, Steps } from "../charts";
import { gridNow } from "../clock";
import { refresh } from "../session";
import { change, mayAct, maySpeak, zoneTime } from "../state";
import type { State } from "../state";
import { money, mw, mwh, price, state as word, time, visible, way } from "../words";
import { Problem, dismiss } from "./app";
import { At, Card, Countdown, Fact, Period, Standing, Table } from "./parts";

export function OrderPage({ state, id }: { state: State; id: string }) {
  const { me, now, looked } = state;
  const view = looked?.orders.find((each) => each.order.order_id === id);
  if (!view) return <h1 tabIndex={-1}>{looked ? "No such order, or you may not see it" : "Reading the order …"}</h1>;
  const { order } = view;
  const settled = looked?.settlements[id];
  const when = { zone: order.zone, me, now };
  return (
    <>
      <h1 tabIndex={-1}>
        {mw(view.accepted_w ?? order.power_w)} {way(order.direction)} at {visible(order.site)}
      </h1>
      <p>
        <Standing state={view.state} /> <span class="mono quiet">{order.order_id}</span>
      </p>
      <dl class="facts">
        <Fact name="When">
          <Period from={order.starts_at} to={order.ends_at} {...when} />
        </Fact>
        <Fact name="Site, participant">
          {visible(order.site)}, {visible(order.participant)}
        </Fact>
        <Fact name="Price">{price(order.price_per_mwh, view.currency)}</Fact>
        <Fact name="Ordered, delivered">
          {mwh(view.ordered_wh)}, {mwh(view.delivered_wh)}
        </Fact>
        <Fact name="Worth, as metered">{money(view.amount, view.currency)}</Fact>
        <Fact name="Request">
          <a class="mono" href={`#/request/${encodeURIComponent(order.request_id)}`}>
            {order.request_id.slice(0, 8)}
          </a>
        </Fact>
      </dl>
      {maySpeak(me) && order.participant === me.organisation && ANSWERABLE.has(view.state) && (
        <Answer view={view} state={state} me={me} />
      )}
      <div class="cards">
        <Card title="Who did what" wide>
          <History view={view} state={state} />
          <div class="buttons">
            <button type="button" class="plain" disabled={state.busy} onClick={() => void saveProof("order", order.order_id)}>
              Save its proof
            </button>
          </div>
          {!state.confirm && <Problem sentences={state.problem} />}
        </Card>
        <Card title="What meters showed" wide empty={!view.metered.length && "Nothing is metered so far."}>
          <Meters view={view} state={state} />
        </Card>
        <Card title="What it came to" wide empty={!settled && (looked?.said || "It is not settled so far.")}>
          {settled && <Settled settled={settled} state={state} />}
        </Card>
      </div>
    </>
  );
}

const ANSWERABLE = new Set(["ISSUED", "RECEIVED"]);

/** Where it waits for the site's word, from whichever of its people or programs. */
function Answer({ view, state, me }: { view: OrderView; state: State; me: Me }) {
  const { order } = view;
  return (
    <>
      <p>
        It waits for your answer until <At at={order.respond_by} zone={order.zone} me={me} now={state.now} />, <Countdown to={order.respond_by} now={state.now} />.
      </p>
      <div class="buttons">
        <button type="button" disabled={state.busy} onClick={() => answer(view, me, "all")}>
          Accept …
        </button>
        {order.shift_id === null && order.power_w > 1 && (
          <button type="button" class="plain" disabled={state.busy} onClick={() => answer(view, me, "part")}>
            Accept a part …
          </button>
        )}
        <button type="button" class="plain" disabled={state.busy} onClick={() => answer(view, me, "none")}>
          Refuse …
        </button>
      </div>
    </>
  );
}

const ANSWERS = {
  all: ["Accept the order of", "Accept it"],
  part: ["Accept a part of the order of", "Accept this part"],
  none: ["Refuse the order of", "Refuse it"],
} as const;

/** What it is in MW and money, and by when; then the answer, as any program of the site would send it. */
function answer({ order, currency }: OrderView, me: Me, how: keyof typeof ANSWERS): void {
  const timezone = zoneTime(me, order.zone);
  const [asked, action] = ANSWERS[how];
  const response_id = crypto.randomUUID();
  const energy = order.ends_at && (order.power_w * (Date.parse(order.ends_at) - Date.parse(order.starts_at))) / 36e5;
  const worth = energy && order.price_per_mwh !== null ? `, ${money(((energy / 1e6) * Number(order.price_per_mwh)).toFixed(2), currency)} if all of it is delivered` : "";
  change({
    problem: [],
    confirm: {
      title: `${asked} ${visible(order.site)}?`,
      lines: [
        `${mw(order.power_w)} ${way(order.direction)} from ${time(order.starts_at, timezone)} ${order.ends_at ? `to ${time(order.ends_at, timezone)}` : "on, without an end"}.`,
        ...(order.import_limit_w === null ? [] : [`Then the site draws ${mw(order.import_limit_w)} at most.`]),
        `${energy ? `${mwh(energy)} at ` : ""}${price(order.price_per_mwh, currency)}${worth}.`,
        `The answer has to be there by ${time(order.respond_by, timezone, undefined, true)}, and can't be taken back. ${how === "none" ? "Others are asked instead." : "It binds the site."}`,
      ],
      asks: how === "part" ? [{ name: "accepted", label: "Accepted, MW", isNeeded: true, least: 1e-6, most: order.power_w / 1e6 }] : [],
      action,
      reason: how === "none" ? "welcome" : "none",
      run: async (reason, _, { accepted }) => {
        const { request_id, order_id, revision } = order;
        const said = how === "none" ? { response: "REFUSED", reason_code: "REFUSED_BY_PERSON" } : { response: "ACCEPTED", reason_code: "", accepted_w: accepted ? Math.round(Number(accepted) * 1e6) : null };
        const body = { request_id, order_id, revision, ...said, reason, actor: me.subject, at: new Date(gridNow()).toISOString() };
        if ((await tell(order.site, request_id, { t: "respond", response_id, body })) !== null) dismiss();
      },
    },
  });
}

function History({ view, state }: { view: OrderView; state: State }) {
  return (
    <Table label="Who did what" head={["When", "State", "Who", "By token", "Why"]}>
      {view.history.map((step, index) => (
        <tr key={index}>
          <td>
            <At at={step.at} zone={view.order.zone} me={state.me} now={state.now} />
          </td>
          <td>
            <Standing state={step.state} />
          </td>
          <td>{visible(step.actor)}</td>
          <td class="quiet">{visible(step.principal)}</td>
          <td class="why">{visible(step.reason) || word(step.reason_code)}</td>
        </tr>
      ))}
    </Table>
  );
}

function Meters({ view, state }: { view: OrderView; state: State }) {
  const { me, now } = state;
  const points = (pick: (each: Metered) => number | null) =>
    view.metered.map((each) => {
      const watts = pick(each);
      return { from: Date.parse(each.starts_at), to: Date.parse(each.ends_at), value: watts === null ? null : watts / 1e6 };
    });
  const series = [
    { label: "metered", points: points((each) => each.actual_w) },
    { label: "baseline", points: points((each) => each.baseline_w) },
    { label: "delivered", points: points((each) => each.delivered_w) },
    { label: "ordered", points: points((each) => each.ordered_w) },
  ];
  return (
    <>
      <Steps series={series} unit="MW" timezone={zoneTime(me, view.order.zone)} now={now} label="Metered, baseline, delivered and ordered power over time, in MW. The table below has every figure." />
      <Legend series={series} />
      <Table label="Intervals" head={["When", "Baseline, MW", "Metered, MW", "Ordered, MW", "Delivered, MW", "Amount"]}>
        {view.metered.map((each) => (
          <tr key={each.starts_at}>
            <td>
              <Period from={each.starts_at} to={each.ends_at} zone={view.order.zone} me={me} now={now} />
            </td>
            <td class="number">{mw(each.baseline_w)}</td>
            <td class="number">{mw(each.actual_w)}</td>
            <td class="number">{mw(each.ordered_w)}</td>
            <td class="number">{each.gap ? `✕ ${word(each.gap)}` : mw(each.delivered_w)}</td>
            <td class="number">{money(each.amount, view.currency)}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

function Settled({ settled, state }: { settled: SettlementView; state: State }) {
  const { settlement, disputes, disputable_until: until } = settled;
  const { me, now } = state;
  const inTime = until !== null && Date.parse(until) >= now;
  const mayReject = me !== null && mayAct(me) && (state.requests[settlement.request_id]?.request.operator ?? me.organisation) === me.organisation;
  const open = disputes.filter((each) => isUnanswered(settled, each));
  return (
    <>
      <p class="present">
        <Standing state={settled.state} /> {money(settlement.total, settlement.currency)}
      </p>
      <p>
        Version {settlement.version}, written <At at={settled.logged_at} zone={settlement.zone} me={me} now={now} />
        {settlement.reason && `: ${visible(settlement.reason)}`}
      </p>
      <p>
        {inTime ? (
          <>
            It may be disputed until <At at={until} zone={settlement.zone} me={me} now={now} />, <Countdown to={until} now={now} />.
          </>
        ) : (
          "The time to dispute it has passed."
        )}
      </p>
      {inTime && maySpeak(me) && (
        <div class="buttons">
          <button type="button" disabled={state.busy} onClick={() => dispute(settled, me)}>
            Dispute this version …
          </button>
        </div>
      )}
      {disputes.length > 0 && (
        <Table label="Disputes" head={["Version", "What", "Total claimed", "Who", "Received", "Answer", ...(mayReject && open.length ? ["Act"] : [])]}>
          {disputes.map((each, index) => (
            <tr key={index}>
              <td>{each.version}</td>
              <td class="why">
                {visible(each.reason_code)}: {visible(each.text)}
              </td>
              <td class="number">{money(each.claimed, settlement.currency)}</td>
              <td>{visible(each.actor)}</td>
              <td>
                <At at={each.received_at} zone={settlement.zone} me={me} now={now} />
              </td>
              <td class="why">{each.answer !== null ? `rejected: ${visible(each.answer)}` : each.version < settlement.version ? `version ${each.version + 1}` : "none so far"}</td>
              {mayReject && open.length > 0 && (
                <td>
                  {isUnanswered(settled, each) && (
                    <button type="button" class="plain" aria-label={`Reject the dispute ${visible(each.reason_code)}`} disabled={state.busy} onClick={() => reject(settled, each)}>
                      Reject …
                    </button>
                  )}
                </td>
              )}
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

type Dispute = SettlementView["disputes"][number];

const isUnanswered = ({ settlement }: SettlementView, each: Dispute): boolean => each.answer === null && each.version === settlement.version;
const delivered = ({ settlement }: SettlementView): string => mwh(settlement.intervals.reduce((sum, each) => sum + (each.delivered_wh ?? 0), 0));
const WRONG = [
  ["readings", "a reading"],
  ["baseline", "the baseline"],
  ["price", "a price"],
  ["order", "what was ordered"],
  ["other", "something else"],
] as const;

/** The newest version is held to be wrong: once for each reason. */
function dispute(settled: SettlementView, me: Me): void {
  const { settlement } = settled;
  const { request_id, order_id, settlement_id, version, currency } = settlement;
  change({
    problem: [],
    confirm: {
      title: `Dispute version ${version} of what the order of ${visible(settlement.site)} came to?`,
      lines: [
        `It says ${money(settlement.total, currency)} for ${delivered(settled)} delivered.`,
        "The operator is told. Another version answers it, or the operator rejects it with a reason. It can't be taken back.",
      ],
      asks: [
        { name: "reason_code", label: "What is wrong", choices: WRONG, isNeeded: true },
        { name: "claimed", label: `The total that is right, ${currency} (may be empty)` },
      ],
      action: "Dispute it",
      reason: "needed",
      run: async (text, _, { reason_code, claimed }) => {
        const body = { request_id, order_id, settlement_id, version, reason_code, text, claimed: claimed || null, actor: me.subject };
        if ((await tell(settlement.site, request_id, { t: "dispute", body })) !== null) dismiss();
      },
    },
  });
}

/** The version stands against a dispute. */
function reject({ settlement }: SettlementView, { reason_code, text, claimed }: Dispute): void {
  const { order_id, version, total, currency } = settlement;
  change({
    problem: [],
    confirm: {
      title: `Reject the dispute ${visible(reason_code)}?`,
      lines: [
        `${visible(settlement.participant)} says of version ${version}: ${visible(text)}`,
        `It stays ${money(total, currency)}${claimed === null ? "" : `, and not ${money(claimed, currency)}`}. The participant is told why; it can't be taken back.`,
      ],
      action: "Reject it",
      reason: "needed",
      run: async (reason) => {
        const path = `/v1/orders/${encodeURIComponent(order_id)}/settlement/disputes/reject`;
        if ((await act(path, { reason_code, reason, version })) === null) return;
        dismiss();
        await refresh(settlement.request_id);
      },
    },
  });
}
