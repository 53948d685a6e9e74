// Who could answer a request, before it is made: as far as an operator may know, and of no other operator's business.

import type { Contact, SiteView } from "../answers";
import { isLive } from "../state";
import type { State } from "../state";
import { mw, state as word, visible } from "../words";
import { At, Card, Table } from "./parts";

const MOST = 50;

export interface Site extends SiteView {
  contact: Contact | undefined;
  /** What this operator's own orders have of it in that time. */
  ordered_w: number;
  /** Why it can't; empty: it could. */
  why: string;
}

/** The sites of a zone, those that could answer first. */
export function couldAnswer(state: State, zone: string, starts_at: number, ends_at: number): Site[] {
  const orders = Object.values(state.orders).filter(isLive);
  const sites = state.sites.filter((each) => each.zone === zone).map((each): Site => {
    const contact = state.contacts.find((known) => known.site === each.site && known.zone === zone);
    const meanwhile = orders.filter(({ order }) => order.site === each.site && Date.parse(order.starts_at) < ends_at && (!order.ends_at || Date.parse(order.ends_at) > starts_at));
    const ordered_w = meanwhile.reduce((sum, { order, accepted_w }) => sum + (accepted_w ?? order.power_w), 0);
    return { ...each, contact, ordered_w, why: whyNot(each, contact, ends_at) };
  });
  return sites.sort((a, b) => Number(a.why !== "") - Number(b.why !== "") || b.capacity_w - a.capacity_w);
}

function whyNot({ baseline_until: until }: SiteView, contact: Contact | undefined, ends_at: number): string {
  if (contact && contact.contact !== "HEARD" && contact.contact !== "UNKNOWN") return `it is ${contact.contact === "ALONE" ? "out of reach" : "in failsafe"}`;
  if (until == null) return "it has declared no baseline";
  return Date.parse(until) < ends_at ? "its baseline ends before" : "";
}

export function inShort(sites: Site[], zone: string): string {
  const able = sites.filter((each) => each.why === "");
  const watts = able.reduce((sum, each) => sum + each.capacity_w, 0);
  return `${able.length} of ${sites.length} sites in ${zone} could answer; their connections carry ${mw(watts)}.`;
}

export function CouldAnswer({ state, zone, starts_at, ends_at }: { state: State; zone: string; starts_at: number; ends_at: number }) {
  const { me, now } = state;
  const sites = couldAnswer(state, zone, starts_at, ends_at);
  return (
    <div class="cards">
      <Card title="Who could answer" wide empty={!sites.length && `No site is known in ${zone}.`}>
        <p>{inShort(sites, zone)} What they would offer, and what others have ordered there, nobody is told beforehand.</p>
        <Table label="Who could answer" head={["Site", "Could answer", "Connection, MW", "Your orders meanwhile, MW", "Baseline declared until", "Contact"]}>
          {sites.slice(0, MOST).map((each) => (
            <tr key={each.site}>
              <td>{visible(each.site)}</td>
              <td>{each.why ? `✕ ${each.why}` : "✓ yes"}</td>
              <td class="number">{mw(each.capacity_w)}</td>
              <td class="number">{each.ordered_w ? mw(each.ordered_w) : "–"}</td>
              <td>
                <At at={each.baseline_until} zone={zone} me={me} now={now} />
              </td>
              <td>{each.contact ? `${word(each.contact.contact)}${each.contact.is_silent ? ", silent" : ""}` : "no failsafe profile"}</td>
            </tr>
          ))}
        </Table>
        {sites.length > MOST && <p class="quiet">{sites.length - MOST} more are not shown.</p>}
      </Card>
    </div>
  );
}
