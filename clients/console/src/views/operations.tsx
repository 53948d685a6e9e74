// For whoever runs the doors: how they do, how far behind the log they are, and any record with its place in the tree.

import { prove } from "../acting";
import type { Proof } from "../answers";
import type { State } from "../state";
import { state as word, utc, visible } from "../words";
import { Problem } from "./app";
import { Field } from "./new-request";
import { Card, Fact, Table } from "./parts";

const NAMES: Record<string, string> = {
  connections: "Open connections",
  subscriptions: "Subscriptions",
  joins: "Subscriptions begun or resumed",
  closes: "Connections closed by the gateway",
  answers: "Answers by status",
};

export function OperationsPage({ state }: { state: State }) {
  const { operations, me } = state;
  return (
    <>
      <h1 tabIndex={-1}>Operations</h1>
      {!operations && <p>Reading how the doors do …</p>}
      <div class="cards">
        {operations && (
          <>
            <Card title="Doors and log">
              <Table label="Doors and log" head={["Part", "Stands", "Why"]}>
                {operations.doors.map((each) => (
                  <tr key={each.name} class={each.ready && !each.reason ? undefined : "old"}>
                    <td>{each.name}</td>
                    <td>{each.ready ? "✓ ready" : "✕ not ready"}</td>
                    <td class="why">{visible(each.reason)}</td>
                  </tr>
                ))}
              </Table>
            </Card>
            <Card title="Behind the log">
              <Table label="Behind the log" head={["Reader", "Stream", "Stands", "Behind", "Unreadable"]}>
                {operations.followed.map((each) => (
                  <tr key={`${each.by}|${each.stream}`} class={["live", "caught up"].includes(each.state) ? undefined : "old"}>
                    <td>{each.by}</td>
                    <td>{each.stream}</td>
                    <td>{["live", "caught up"].includes(each.state) ? `✓ ${each.state}` : `✕ ${each.state}`}</td>
                    <td class="number">{each.behind}</td>
                    <td class="number">{each.unreadable}</td>
                  </tr>
                ))}
              </Table>
            </Card>
            <Card title="Connections">
              <Table label="Connections" head={["Door", "What", "Which", "How many"]}>
                {operations.counted.map((each) => (
                  <tr key={[each.door, each.name, ...Object.values(each.labels)].join("|")}>
                    <td>{each.door}</td>
                    <td>{NAMES[each.name] ?? each.name}</td>
                    <td>{word(Object.values(each.labels).filter(Boolean).join(", "))}</td>
                    <td class="number">{each.value}</td>
                  </tr>
                ))}
              </Table>
              {me?.ingest && (
                <p>
                  <a href="#/feeds">Feeds, and what of them was set aside</a>
                </p>
              )}
            </Card>
          </>
        )}
        <Card title="One record" wide>
          <Ask state={state} />
          <Problem sentences={state.problem} />
          {state.proof && <Proved proof={state.proof} />}
        </Card>
      </div>
    </>
  );
}

function Ask({ state }: { state: State }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const said = (name: string) => String(form.get(name) ?? "").trim();
    const byId = { kind: said("kind"), id: said("id"), participant: said("kind") === "offer" ? said("participant") : "" };
    void prove(said("id") ? byId : { zone: said("zone"), offset: said("offset") });
  };
  return (
    <form class="new" onSubmit={submit}>
      <Field name="kind" label="By its id: what it is">
        <select id="kind" name="kind">
          {["order", "offer", "request", "settlement"].map((each) => (
            <option key={each} value={each}>
              {each === "settlement" ? "settlement, by its order" : each}
            </option>
          ))}
        </select>
      </Field>
      <Field name="id" label="Its id">
        <input id="id" name="id" autocomplete="off" spellcheck={false} maxLength={64} />
      </Field>
      <Field name="participant" label="Of an offer: whose">
        <input id="participant" name="participant" autocomplete="off" spellcheck={false} maxLength={64} />
      </Field>
      <Field name="zone" label="Or by its place: the zone">
        <select id="zone" name="zone">
          {(state.me?.zones ?? []).map(({ zone }) => (
            <option key={zone} value={zone}>
              {zone}
            </option>
          ))}
        </select>
      </Field>
      <Field name="offset" label="Its offset">
        <input id="offset" name="offset" inputMode="numeric" pattern="[0-9]*" autocomplete="off" />
      </Field>
      <div class="buttons">
        <button type="submit" disabled={state.busy}>
          Show
        </button>
      </div>
    </form>
  );
}

const hex = (base64: string): string => [...atob(base64)].map((each) => each.charCodeAt(0).toString(16).padStart(2, "0")).join("");

function Proved({ proof }: { proof: Proof }) {
  const { head, record } = proof.evidence;
  return (
    <>
      <h3>{proof.record_name}</h3>
      <dl class="facts">
        <Fact name="Offset">{record.offset}</Fact>
        <Fact name="Logged">{utc(record.appended_us / 1000)}</Fact>
        <Fact name="By">{visible(record.principal) || "nobody named"}</Fact>
        <Fact name="Under the head of">{`${head.size} records of partition ${head.partition}, signed ${utc(head.signed_at)}`}</Fact>
        <Fact name="Signed with">
          <span class="mono long">{head.signed_by}</span>
        </Fact>
        <Fact name="Root">
          <span class="mono long">{head.root}</span>
        </Fact>
      </dl>
      <h4>The record</h4>
      <pre class="text mono" tabIndex={0} aria-label="The record as JSON">
        {visible(JSON.stringify(proof.record, null, 2))}
      </pre>
      <h4>As it lies on the log: five bytes of framing, then Avro</h4>
      <pre class="mono long" tabIndex={0} aria-label="The record as Avro">
        {hex(record.value)}
      </pre>
      <h4>Its way to the root, from its neighbour up</h4>
      <ol class="mono long">
        {record.path.map((each) => (
          <li key={each}>{each}</li>
        ))}
      </ol>
    </>
  );
}
