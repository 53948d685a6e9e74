// The protocol by hand, in JavaScript: what schemas/PROTOCOL.md says, and nothing else. No dependency.
//
// It follows dispatch for one site, keeps the last cursor, comes back with it after a break, offers 2 MW on each request
// and accepts each order. Ids follow from what they answer, so that a restart repeats what was said.
// It keeps no outbox: a receipt that is lost with the connection leaves it in doubt until it says the same again.
//
//     GRIDSIGNAL_URL=ws://127.0.0.1:8081 GRIDSIGNAL_TOKEN=... node follow.mjs        (Node.js 22, or 20 with
//     node --experimental-websocket follow.mjs)
import { createHash } from "node:crypto";

const url = process.env.GRIDSIGNAL_URL ?? "ws://127.0.0.1:8081";
const site = process.env.GRIDSIGNAL_SITE ?? "fra-1";
const zone = process.env.GRIDSIGNAL_ZONE ?? "DE-LU";
const say = (line) => console.log(line);
let cursor, lastId;

const idOf = (...parts) => createHash("sha256").update(parts.join("/")).digest("hex").slice(0, 32);

function offer(request) {
  const option = {
    option: "o1", power_w: 2_000_000, starts_at: request.starts_at, ends_at: request.ends_at, price_per_mwh: "75.5",
    notice_s: 0, full_activation_s: request.full_activation_s, ramp_down_w_per_min: 2_000_000,
    ramp_up_w_per_min: 2_000_000, min_duration_s: 0, max_duration_s: 86_400, divisible: true, min_power_w: 0,
  };
  const body = {
    revision: 1, request_id: request.request_id, request_revision: request.revision, options: [option],
    flexibility: { kind: "SHED", workload: "BATCH" }, expires_at: request.ends_at, // standby until it is over
  };
  return { t: "offer", offer_id: idOf(request.request_id, request.revision), body };
}

function acceptance(order) {
  const body = {
    request_id: order.request_id, order_id: order.order_id, revision: order.revision, response: "ACCEPTED",
    actor: "by-hand", reason_code: "", reason: "", at: new Date().toISOString(),
  };
  return { t: "respond", response_id: idOf(order.order_id, order.revision, "ACCEPTED"), body };
}

function answerTo({ t, type, body, ...frame }) {
  if (t === "subscribed") say(`recovery ${frame.recovery}`);
  if (t === "received" && frame.response_id) say(`the log has answer ${frame.response_id}: the site may start`);
  else if (t === "received") say(`the log has offer ${frame.offer_id}`);
  if (t === "refused" || t === "error") say(`${t}: ${frame.code} ${JSON.stringify(frame.details ?? [])}`);
  if (t !== "signal") return undefined;
  if (type === "DispatchRequest") return say(`asked for ${body.power_w} W`), offer(body);
  if (type !== "DispatchOrder") return undefined;
  say(`order ${body.order_id} is ${body.state}, ${body.power_w} W until ${body.ends_at}`);
  return ["ISSUED", "RECEIVED"].includes(body.state) ? acceptance(body) : undefined;
}

function connect() {
  const headers = { Authorization: `Bearer ${process.env.GRIDSIGNAL_TOKEN}` };
  const socket = new WebSocket(`${url}/v1/stream`, { protocols: ["gridsignal.v1.json"], headers });
  const send = (frame) => socket.send(JSON.stringify({ id: ++lastId, ...frame }));
  socket.onopen = () => {
    lastId = 0;
    send({ t: "hello", client: "by-hand-js/1.0", site });
    send({ t: "subscribe", stream: "dispatch", filter: { zones: [zone] }, ...(cursor ? { cursor } : { snapshot: true }) });
  };
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    cursor = frame.cursor ?? cursor; // moved before the message is used
    const answer = answerTo(frame);
    if (answer) send(answer);
  };
  socket.onclose = ({ code }) => {
    if (code >= 4500) return say(`closed with ${code}: stay away`);
    setTimeout(connect, 500 * Math.random());
  };
}

connect();
