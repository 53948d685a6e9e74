// How the feeds stand: what each source told last, what of it was set aside, and why.

import type { State } from "../state";
import { state as word, visible } from "../words";
import { At, Card, Table } from "./parts";

export function Feeds({ state }: { state: State }) {
  const { feeds, me, now } = state;
  const rows = [...feeds].sort((a, b) => Number(b.stale) - Number(a.stale) || a.zone.localeCompare(b.zone));
  return (
    <>
      <h1 tabIndex={-1}>Feeds</h1>
      <div class="cards">
        <Card title="How they stand" wide empty={!rows.length && "No public feed is read here; figures are pushed, or replayed."}>
          <Table label="Feeds" head={["Zone", "Signal", "Provider", "Stands", "Last success", "Newest figure until", "Due", "Published", "Revised", "Set aside", "What is wrong"]}>
            {rows.map((each) => {
              const at = (moment: string | null) => <At at={moment} zone={each.zone} me={me} now={now} />;
              return (
                <tr key={`${each.zone}|${each.signal}|${each.provider}`} class={each.stale ? "old" : undefined}>
                  <td>{each.zone}</td>
                  <td>{word(each.signal)}</td>
                  <td>{visible(each.provider)}</td>
                  <td>{each.stale ? "✕ stale" : "✓ of now"}</td>
                  <td>{at(each.last_success_at)}</td>
                  <td>{at(each.newest_ends_at)}</td>
                  <td>{at(each.next_due_at)}</td>
                  <td class="number">{each.published}</td>
                  <td class="number">{each.revisions}</td>
                  <td class="number">{each.quarantined}</td>
                  <td class="why">{visible(each.trouble || each.left_out)}</td>
                </tr>
              );
            })}
          </Table>
        </Card>
      </div>
    </>
  );
}
