// The gateway's WebSocket (PROTOCOL.md): one subscription a stream, resumed by its cursor after a break.

import type { Signal } from "./answers";

export interface Hears {
  /** A connection is being tried. */
  connecting(): void;
  /** Welcomed: what was missed comes now. */
  resuming(): void;
  /** All streams are whole; `missed` signals came since the break, null: what came is a snapshot. */
  whole(missed: number | null): void;
  /** A sign of life. */
  alive(): void;
  signal(signal: Signal): void;
  /** The connection is gone, and is tried again; `why` is the gateway's word, where it had one. */
  broken(why: string): void;
  /** Nobody is let in with this token any more. */
  refused(why: string): void;
}

const STREAMS = [
  { stream: "dispatch", mode: "every" },
  { stream: "prices", mode: "latest" },
  { stream: "carbon", mode: "latest" },
  { stream: "alerts", mode: "every" },
] as const;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** From this close code on nobody comes back with the same token. */
const FINAL = 4500;
/** Ids beyond those of the subscriptions. */
const FIRST_RENEWAL = 100;

interface Frame {
  t: string;
  id?: number;
  sub?: string;
  cursor?: string;
  recovery?: string;
  ping_s?: number;
  code?: string;
  message?: string;
  type?: string;
  body?: Signal["body"];
}

interface Feed {
  cursor: string;
  sub: string;
  isWhole: boolean;
  isSnapshot: boolean;
}

export class Live {
  private socket: WebSocket | null = null;
  private feeds = new Map<string, Feed>();
  private wait = FIRST_WAIT_MS;
  private timer = 0;
  private silence = 0;
  private silentAfterMs = 20_000;
  private missed = 0;
  private isEnded = false;
  private renewals = FIRST_RENEWAL;

  constructor(
    private readonly url: string,
    private token: string,
    private readonly hears: Hears,
  ) {
    for (const { stream } of STREAMS) this.feeds.set(stream, { cursor: "", sub: "", isWhole: false, isSnapshot: false });
    this.connect();
  }

  end(): void {
    this.isEnded = true;
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.socket?.close();
  }

  /** Another token for whoever was let in: the connection goes on with it. */
  renew(token: string): void {
    this.token = token;
    if (this.socket?.readyState === WebSocket.OPEN) this.send({ t: "token", id: this.renewals++, token });
  }

  private connect(): void {
    this.hears.connecting();
    this.missed = 0;
    const socket = new WebSocket(`${this.url}/v1/stream`, "gridsignal.v1.json");
    this.socket = socket;
    socket.onopen = () => this.send({ t: "hello", id: 0, client: "gridsignal-console/1", token: this.token });
    socket.onmessage = (event) => {
      if (socket === this.socket && typeof event.data === "string") this.take(JSON.parse(event.data) as Frame);
    };
    socket.onclose = (event) => {
      if (socket === this.socket) this.closed(event.code);
    };
    this.listen();
  }

  private send(frame: object): void {
    this.socket?.send(JSON.stringify(frame));
  }

  private listen(): void {
    clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.drop(), this.silentAfterMs);
  }

  /** A connection that is silent for too long is none: its end may take minutes to be told. */
  private drop(why = ""): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.closed(1006, why);
  }

  private closed(code: number, why = ""): void {
    clearTimeout(this.silence);
    this.socket = null;
    if (this.isEnded) return;
    if (code === 4005 || code >= FINAL) {
      this.isEnded = true;
      this.hears.refused(code === 4005 ? "Your token has expired." : `The gateway sent you away (${code}).`);
      return;
    }
    this.hears.broken(why);
    this.timer = window.setTimeout(() => this.connect(), this.wait * (0.5 + Math.random()));
    this.wait = Math.min(LONGEST_WAIT_MS, this.wait * 2);
  }

  private take(frame: Frame): void {
    this.listen();
    switch (frame.t) {
      case "welcome":
        this.welcomed(frame);
        break;
      case "subscribed":
        this.subscribed(frame);
        break;
      case "signal":
        this.signalled(frame);
        break;
      case "position":
        this.positioned(frame);
        break;
      case "gap": {
        const feed = this.of(frame.sub);
        if (feed) Object.assign(feed, { isWhole: false, isSnapshot: true });
        break;
      }
      case "error":
        this.unfollowed(frame);
        break;
      case "drain":
        this.drop();
    }
  }

  private welcomed(frame: Frame): void {
    this.silentAfterMs = 2000 * (frame.ping_s ?? 8) + 2000;
    this.hears.resuming();
    STREAMS.forEach(({ stream, mode }, index) => {
      const feed = this.feeds.get(stream) as Feed;
      Object.assign(feed, { sub: "", isWhole: false });
      const from = feed.cursor ? { cursor: feed.cursor } : { snapshot: true };
      this.send({ t: "subscribe", id: index + 1, stream, mode, ...from });
    });
  }

  private subscribed(frame: Frame): void {
    const known = STREAMS[(frame.id ?? 0) - 1];
    const feed = known && this.feeds.get(known.stream);
    if (feed) Object.assign(feed, { sub: frame.sub ?? "", isSnapshot: frame.recovery !== "full" });
  }

  /** A subscription was refused: without it the page is not whole, so all is tried again later, from a snapshot. */
  private unfollowed(frame: Frame): void {
    const known = STREAMS[(frame.id ?? 0) - 1];
    const feed = known && this.feeds.get(known.stream);
    if (!feed) return;
    feed.cursor = "";
    this.drop(frame.message);
  }

  private signalled(frame: Frame): void {
    const feed = this.of(frame.sub);
    if (!feed) return;
    if (frame.cursor) feed.cursor = frame.cursor;
    if (!feed.isWhole) this.missed++;
    this.hears.signal({ type: frame.type ?? "", body: frame.body ?? {} });
  }

  private positioned(frame: Frame): void {
    const feed = this.of(frame.sub);
    if (!feed) return;
    if (frame.cursor) feed.cursor = frame.cursor;
    this.hears.alive();
    if (feed.isWhole) return;
    feed.isWhole = true;
    const feeds = [...this.feeds.values()];
    if (feeds.every((each) => each.isWhole)) {
      this.wait = FIRST_WAIT_MS;
      this.hears.whole(feeds.some((each) => each.isSnapshot) ? null : this.missed);
      for (const each of feeds) each.isSnapshot = false;
    }
  }

  private of(sub: string | undefined): Feed | undefined {
    return sub ? [...this.feeds.values()].find((feed) => feed.sub === sub) : undefined;
  }
}
