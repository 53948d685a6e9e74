// Alerts: what is in force, who has it, who has done it and whose meters show it; and who is out of reach.

import type { Alert, AlertSites, AlertView, Contact, SiteAlert } from "../answers";
import { acknowledge, pushAlert } from "../acting";
import { change, mayPush, maySpeak } from "../state";
import type { State } from "../state";
import { mw, state as word, visible } from "../words";
import { alertKey, alertPage, inForce } from "../watching";
import { dismiss } from "./app";
import { At, Card, Fact, Period, Standing, Table } from "./parts";

const LEVELS = ["Information", "Alert", "Warning", "Action"];
const MARKS: Record<string, string> = { HEARD: "✓", FAILSAFE: "◑", ALONE: "✕", UNKNOWN: "✕" };

export const outOfReach = (contacts: Contact[]): Contact[] => contacts.filter((each) => each.is_silent || each.contact !== "HEARD");

const title = (alert: Alert) => `${word(alert.kind)} in ${alert.zone}, ${word(alert.action)}`;
const isTheirs = (state: State, alert: Alert) => state.me?.role === "operator" && alert.provider === state.me.organisation;

/** What is in force, in short. */
export function Alerts({ state, rows }: { state: State; rows: AlertView[] }) {
  return (
    <ul class="alerts">
      {[...rows]
        .sort((a, b) => b.alert.level - a.alert.level)
        .map(({ alert }) => (
          <li key={alertKey(alert)} class={`level-${alert.level}`}>
            <strong>
              {LEVELS[alert.level] ?? alert.level}
              {alert.is_drill && " (drill)"}
            </strong>{" "}
            <a href={alertPage(alert)}>{title(alert)}</a>
            <p class="text">{visible(alert.text)}</p>
            <p class="quiet">
              since <At at={alert.starts_at ?? alert.issued_at} zone={alert.zone} me={state.me} now={state.now} />, by {visible(alert.provider)}
            </p>
            <Lacking of={state.acknowledged[alertKey(alert)]} isSite={state.me?.role === "participant"} />
          </li>
        ))}
    </ul>
  );
}

/** Who has not got it so far; nothing where that is not theirs to know. */
function Lacking({ of, isSite }: { of: AlertSites | undefined; isSite: boolean }) {
  if (!of?.sites.length) return null;
  const lacking = of.sites.filter((each) => !each.received.at);
  const undecided = of.sites.filter((each) => !each.will_act_at && !each.cannot_act_at && !each.applied.at);
  const rest = isSite ? undecided : lacking;
  const [all, some] = isSite ? ["You have answered for every site.", "You have not answered for"] : ["Every site has it.", "Not acknowledged by"];
  return <p class={rest.length ? "lacking" : ""}>{rest.length ? `✕ ${some} ${rest.map((each) => visible(each.site)).join(", ")}` : `✓ ${all}`}</p>;
}

export function Contacts({ state, rows }: { state: State; rows: Contact[] }) {
  return (
    <Table label="Contact" head={["Site", "Zone", "Contact", "Heard", "Failsafe until", "Its limit, MW"]}>
      {rows.map((each) => (
        <tr key={each.site} class={outOfReach([each]).length ? "old" : undefined}>
          <td>{visible(each.site)}</td>
          <td>{each.zone}</td>
          <td>
            <span aria-hidden="true">{MARKS[each.contact] ?? "✕"}</span> {word(each.contact)}
            {each.is_silent && ", silent"}
          </td>
          <td>{each.heard_at ? <At at={each.heard_at} zone={each.zone} me={state.me} now={state.now} /> : "never"}</td>
          <td>
            <At at={each.until} zone={each.zone} me={state.me} now={state.now} />
          </td>
          <td class="number">{mw(each.failsafe.limit_w)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** All alerts there are, and every contact. */
export function AlertsPage({ state }: { state: State }) {
  const { me, now } = state;
  const all = Object.values(state.alerts).sort((a, b) => Date.parse(b.alert.issued_at) - Date.parse(a.alert.issued_at));
  const [open, over] = [all.filter((view) => inForce(view, now)), all.filter((view) => !inForce(view, now))];
  return (
    <>
      <h1 tabIndex={-1}>Alerts and contact</h1>
      {me && mayPush(me) && (
        <div class="buttons">
          <a class="button" href="#/issue">
            Issue an alert or a drill …
          </a>
        </div>
      )}
      <div class="cards">
        <Card title="In force" wide empty={!open.length && "No alert is in force."}>
          <Alerts state={state} rows={open} />
        </Card>
        <Card title="Contact" wide empty={!state.contacts.length && "No site has a failsafe profile: nothing is told of its contact."}>
          <Contacts state={state} rows={state.contacts} />
        </Card>
        <Card title="Over" wide empty={!over.length && "No alert is over."}>
          <Table label="Alerts that are over" head={["Alert", "Level", "By", "From, to", "Became of it"]}>
            {over.map(({ alert, superseded_by }) => (
              <tr key={alertKey(alert)}>
                <td>
                  <a href={alertPage(alert)}>{title(alert)}</a>
                  {alert.is_drill && <strong> (drill)</strong>}
                </td>
                <td>{LEVELS[alert.level] ?? alert.level}</td>
                <td>{visible(alert.provider)}</td>
                <td>
                  <Period from={alert.starts_at ?? alert.issued_at} to={alert.ends_at ?? null} zone={alert.zone} me={me} now={now} />
                </td>
                <td>{superseded_by ? `another took its place: ${visible(superseded_by)}` : "ended"}</td>
              </tr>
            ))}
          </Table>
        </Card>
      </div>
    </>
  );
}

/** One alert, and what each site said of it. */
export function AlertPage({ state, name }: { state: State; name: string[] }) {
  const { me, now } = state;
  const key = name.join("/");
  const of = state.acknowledged[key];
  const view = state.alerts[key] ?? of;
  if (!view) return <h1 tabIndex={-1}>No such alert, or you may not see it</h1>;
  const { alert } = view;
  const open = inForce(view, now);
  const when = { zone: alert.zone, me, now };
  const maySay = open && maySpeak(me);
  return (
    <>
      <h1 tabIndex={-1}>
        {alert.is_drill && "Drill: "}
        {title(alert)}
      </h1>
      <p>
        <Standing state={open ? "IN_FORCE" : "ENDED"} /> <span class="mono quiet">{visible(alert.alert_id)}</span>
      </p>
      {alert.is_drill && <p class="text">An exercise: it is acknowledged as the real thing, and acted on by nobody.</p>}
      <p class="text">{visible(alert.text)}</p>
      <dl class="facts">
        <Fact name="Level">{LEVELS[alert.level] ?? alert.level}</Fact>
        <Fact name="By">{visible(alert.provider)}</Fact>
        <Fact name="From, to">
          <Period from={alert.starts_at ?? alert.issued_at} to={alert.ends_at ?? null} {...when} />
        </Fact>
        <Fact name="To be acknowledged by">
          <At at={view.receive_by} {...when} />
        </Fact>
        <Fact name="To be applied by">
          <At at={view.apply_by} {...when} />
        </Fact>
        <Fact name="Revision">{alert.revision}</Fact>
      </dl>
      {open && isTheirs(state, alert) && me && mayPush(me) && (
        <div class="buttons">
          <button type="button" onClick={() => clear(alert)}>
            End this {alert.is_drill ? "drill" : "alert"} …
          </button>
        </div>
      )}
      <div class="cards">
        <Card title="What sites say, and their meters" wide empty={!of?.sites.length && "What sites say is told to who issued the alert, and to each of its own."}>
          <Said state={state} alert={alert} rows={of?.sites ?? []} maySay={maySay} />
          {of?.next && <p class="quiet">These are the first {of.sites.length}; the door has more.</p>}
        </Card>
      </div>
    </>
  );
}

const WORDS = [
  ["UNDERSTOOD", "Understood", "Somebody has read it."],
  ["WILL_ACT", "Will act", "The site will do what is asked."],
  ["APPLIED", "Applied", "The site has done it."],
  ["CANNOT_ACT", "Cannot act", "The site can't do it, and says why."],
] as const;

function Said({ state, alert, rows, maySay }: { state: State; alert: Alert; rows: SiteAlert[]; maySay: boolean }) {
  const { me, now } = state;
  const at = (moment: string | null) => <At at={moment} zone={alert.zone} me={me} now={now} />;
  const step = ({ at: moment, is_late }: SiteAlert["received"]) => (
    <>
      <span aria-hidden="true">{moment ? "✓" : is_late ? "✕" : "◌"}</span> {moment ? at(moment) : "not so far"}
      {is_late && <strong class="late"> late</strong>}
    </>
  );
  return (
    <Table label="Sites" head={["Site", "Received", "Applied", "Verified by meter", "Newest word", ...(maySay ? ["Say"] : [])]}>
      {rows.map((each) => (
        <tr key={each.site}>
          <td>{visible(each.site)}</td>
          <td>{step(each.received)}</td>
          <td>{step(each.applied)}</td>
          <td>{each.verified.at ? <>✓ {mw(each.verified.power_w)}, {at(each.verified.at)}</> : "–"}</td>
          <td class="why">{newest(each)}</td>
          {maySay && (
            <td class="why">
              {WORDS.map(([state_, label]) => (
                <button key={state_} type="button" class="plain" aria-label={`${label}: ${visible(each.site)}`} disabled={state.busy || saidAlready(each, state_)} onClick={() => saying(alert, each.site, state_)}>
                  {label}
                </button>
              ))}
            </td>
          )}
        </tr>
      ))}
    </Table>
  );
}

const saidAlready = (each: SiteAlert, what: string): boolean =>
  ({ UNDERSTOOD: each.understood_at, WILL_ACT: each.will_act_at, APPLIED: each.applied.at, CANNOT_ACT: each.cannot_act_at })[what] != null;

function newest(each: SiteAlert) {
  const said = ([["applied", each.applied.at], ["cannot act", each.cannot_act_at], ["will act", each.will_act_at], ["understood", each.understood_at], ["received", each.received.at]] as const)
    .filter(([, at]) => at)
    .sort(([, a], [, b]) => Date.parse(b ?? "") - Date.parse(a ?? ""))[0];
  if (!said) return <span class="quiet">nothing so far</span>;
  return (
    <>
      {said[0]}
      {each.actor && <span class="quiet">, {visible(each.actor)}</span>}
      {each.reason && `: ${visible(each.reason)}`}
    </>
  );
}

function saying(alert: Alert, site: string, what: (typeof WORDS)[number][0]): void {
  const [, label, meaning] = WORDS.find(([each]) => each === what) ?? WORDS[0];
  change({
    problem: [],
    confirm: {
      title: `${label}: ${visible(site)}?`,
      lines: [`${meaning} It is told to ${visible(alert.provider)} and can't be taken back; nothing is switched by it.`],
      action: `Say it`,
      reason: what === "CANNOT_ACT" ? "needed" : "welcome",
      run: async (reason) => {
        if ((await acknowledge(alert, site, what, reason)) !== null) dismiss();
      },
    },
  });
}

function clear(alert: Alert): void {
  change({
    problem: [],
    confirm: {
      title: `End this ${alert.is_drill ? "drill" : "alert"} now?`,
      lines: [`${visible(title(alert))}: every site in ${alert.zone} is told that it is over.`],
      action: "End it",
      reason: "none",
      run: async () => {
        if ((await pushAlert(alert, true)) !== null) dismiss();
      },
    },
  });
}
