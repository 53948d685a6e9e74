// One offer of a data center: what was offered, the log's receipt for it, what became of it and why.

import { saveProof } from "../acting";
import type { State } from "../state";
import { mw, mwh, price, state as word, utc, visible } from "../words";
import { Problem } from "./app";
import { At, Card, Fact, Period, Standing, Table } from "./parts";

export function OfferPage({ state, id }: { state: State; id: string }) {
  const view = state.offers[id];
  if (!view) return <h1 tabIndex={-1}>No such offer, or it has been over for more than a day</h1>;
  const { offer, receipt } = view;
  const { me, now } = state;
  const request = offer.request_id;
  const currency = state.requests[request ?? ""]?.request.currency ?? me?.zones.find(({ zone }) => zone === offer.zone)?.currency ?? "EUR";
  return (
    <>
      <h1 tabIndex={-1}>An offer of {visible(offer.site)}</h1>
      <p>
        <Standing state={view.state} /> <span class="mono quiet">{visible(offer.offer_id)}</span>
      </p>
      <dl class="facts">
        <Fact name="Request">
          {request ? (
            <a class="mono" href={`#/request/${encodeURIComponent(request)}`}>
              {visible(request.slice(0, 8))}
            </a>
          ) : (
            "it stands, for a product"
          )}
        </Fact>
        <Fact name="Awarded">{view.awarded_w === null ? "–" : mw(view.awarded_w)}</Fact>
        <Fact name="Order">
          {view.order_id ? (
            <a class="mono" href={`#/order/${view.order_id}`}>
              {view.order_id.slice(0, 8)}
            </a>
          ) : (
            "–"
          )}
        </Fact>
        <Fact name="Why">{view.codes.map(word).join(", ") || "–"}</Fact>
      </dl>
      <div class="cards">
        <Card title="What was offered" wide>
          <Table label="Options" head={["Option", "Power, MW", "When", "Price", "Energy"]}>
            {offer.options.map((each) => (
              <tr key={each.option}>
                <td>
                  {visible(each.option)}
                  {each.option === view.option && " ✓ chosen"}
                </td>
                <td class="number">{mw(each.power_w)}</td>
                <td>
                  <Period from={each.starts_at} to={each.ends_at} zone={offer.zone} me={me} now={now} />
                </td>
                <td class="number">{price(each.price_per_mwh, currency)}</td>
                <td class="number">{mwh((each.power_w * (Date.parse(each.ends_at) - Date.parse(each.starts_at))) / 36e5)}</td>
              </tr>
            ))}
          </Table>
        </Card>
        <Card title="The log's receipt" wide>
          <dl class="facts">
            <Fact name="Received">
              <At at={receipt.received_at} zone={offer.zone} me={me} now={now} />, {utc(receipt.received_at)}
            </Fact>
            <Fact name="Revision">{receipt.revision ?? "–"}</Fact>
            <Fact name="SHA-256 of the record">
              <span class="mono text">{visible(receipt.sha256)}</span>
            </Fact>
          </dl>
          <div class="buttons">
            <button type="button" class="plain" disabled={state.busy} onClick={() => void saveProof("offer", offer.offer_id, request ? `&request_id=${encodeURIComponent(request)}` : "")}>
              Save its proof
            </button>
          </div>
          <Problem sentences={state.problem} />
        </Card>
      </div>
    </>
  );
}
