import type { Failure, Field, Fields, Stream, StreamEvents } from "../wire/stream.ts";
import { hopsOf, valueOf } from "../tunnel/fields.ts";
import { Join } from "../tunnel/join.ts";
import type { JoinOptions } from "../tunnel/join.ts";
import { HOPS_FIELD, MAX_HOPS } from "../tunnel/protocol.ts";
import { labelBelow, parseAuthority } from "./authority.ts";
import type { Authority } from "./authority.ts";
import { forwardedHead, kindOf } from "./forward.ts";
import type { Guesses } from "./guesses.ts";
import { Lease, nextLease } from "./lease.ts";
import type { Registry, ShareRecord } from "./registry.ts";
import type { WaitingRoom } from "./waiting.ts";

/** Everything about a visitor's connection that concerns its requests; made once per connection. */
export interface Origin {
  /** `portlight-http`. */
  readonly version: Field;
  readonly forwardedFor: Field;
  readonly forwardedProto: Field;
  /**
   * The share whose own port the visitor came to; any authority is right there, since the port says it all. A share is
   * public by intent, so a page that rebinds its name to this address sees what anybody may see.
   * Undefined: the main port, where `:authority` decides.
   */
  readonly record: ShareRecord<Lease> | undefined;
  readonly joinOptions: JoinOptions;
  /** What was last read from `:authority`: nearly all requests of a connection have the same. */
  target: Target | undefined;
}

/** A request's own word about where it goes, read once. */
interface Target {
  readonly text: string;
  /** Undefined: no authority at all (HTTP/1.0), or not one. */
  readonly authority: Authority | undefined;
  /** One object, so that HPACK finds its index. */
  readonly forwardedHost: Field;
  /** It named a share, and `Guesses` knows. */
  right: boolean;
}

export interface RouterOptions {
  readonly registry: Registry<Lease>;
  /** Of names, by visitors. */
  readonly guesses: Guesses;
  readonly room: WaitingRoom;
  /** Shares are `name.domain`. */
  readonly domain: string;
  /** Further names of the relay itself, where the front page is. */
  readonly ownHosts: readonly string[];
}

type Turn =
  | "first"
  /** Something has changed. */
  | "again"
  /** It has waited as long as it may. */
  | "late";

/** It may be told to wait, for this name and until then (monotonic milliseconds). */
interface Waits {
  readonly name: string;
  readonly until: number;
}

/** Undefined: it is on its way. */
type Outcome = Failure | Waits | undefined;

const HOPS: readonly Field[] = Array.from({ length: MAX_HOPS + 1 }, (_, hops) => ({
  name: HOPS_FIELD,
  value: String(hops),
}));

const FRONT_PAGE = new TextEncoder().encode(
  "This is a Portlight relay. It forwards requests to ports that people share with the Portlight extension;\n" +
    "each of them has a URL of its own. There is nothing else to see here.\n",
);

/** Decides for each request, not for each connection, which share it is for: browsers reuse connections for all names of a certificate. */
export class Router {
  /** Exchanges now open, of all visitors. */
  inFlight = 0;
  readonly #options: RouterOptions;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** `JoinOptions` for a visitor's connection. @param showsResets whether the visitor speaks HTTP/2. */
  joinOptions(showsResets: boolean): JoinOptions {
    return { party: "relay", passResets: showsResets, onClosed: this.#closed };
  }

  open(stream: Stream, fields: Fields, ended: boolean, origin: Origin): StreamEvents {
    const join = new Join(stream, fields, ended, origin.joinOptions);
    // Before anything is answered: what the stream reports meanwhile is already the join's.
    stream.events = join.visitorEvents;
    this.inFlight++;
    const outcome = this.#route(fields, ended, origin, join, "first");
    if (outcome !== undefined) this.#settleRequest(outcome, fields, ended, origin, join);
    return stream.events;
  }

  /** Apart, because a function that holds a closure makes room for it each time it is called. */
  #settleRequest(outcome: Outcome, fields: Fields, ended: boolean, origin: Origin, join: Join): void {
    this.#settle(outcome, join, (turn) => this.#route(fields, ended, origin, join, turn));
  }

  /** A TCP connection to the port of a share. */
  openTcp(stream: Stream, record: ShareRecord<Lease>, forwardedFor: Field): StreamEvents {
    const head: Fields = [
      { name: ":method", value: "CONNECT" },
      { name: ":authority", value: record.name },
    ];
    const join = new Join(stream, head, false, { party: "relay", raw: true, onClosed: this.#closed });
    stream.events = join.visitorEvents;
    this.inFlight++;
    const route = (turn: Turn): Outcome => {
      const lease = this.#lease(record, turn);
      if (!(lease instanceof Lease)) return lease;
      lease.owner.forward([...head, lease.field, forwardedFor], false, join, false);
      return undefined;
    };
    this.#settle(route("first"), join, route);
    return join.visitorEvents;
  }

  /** Fails, or lets wait: then it is routed again when something has changed, and once more at the end. */
  #settle(outcome: Outcome, join: Join, route: (turn: Turn) => Outcome): void {
    if (outcome === undefined) return;
    if ("code" in outcome) {
      join.fail(outcome);
      return;
    }
    const { name, until } = outcome;
    const go = (late: boolean): void => this.#settle(route(late ? "late" : "again"), join, route);
    if (!this.#options.room.add(name, { join, until, go })) join.fail(FULL);
  }

  #route(fields: Fields, ended: boolean, origin: Origin, join: Join, turn: Turn): Outcome {
    const kind = kindOf(fields);
    if (typeof kind === "object") return kind;
    const target = targetOf(fields, origin);
    const { authority, text } = target;
    if (authority === undefined && text !== "") {
      return { by: "visitor", code: "malformed", message: "The authority of the request is not a host name and port" };
    }
    const hops = hopsOf(fields) + 1;
    if (hops > MAX_HOPS) {
      return { by: "relay", code: "loop", message: `The request has passed this relay more than ${MAX_HOPS} times` };
    }
    let { record } = origin;
    if (record === undefined) {
      const host = authority?.host ?? "";
      if (this.#isOwn(host) && this.#frontPage(fields, ended, join)) return undefined;
      const name = labelBelow(host, this.#options.domain);
      // Not a name at all: a scanner that knows only our address learns nothing, and may ask for it as often as it likes.
      if (name === undefined) return UNKNOWN;
      const found = this.#find(name, target, origin.forwardedFor.value, turn);
      if (!("holders" in found)) return found;
      record = found;
    } else if (record.stopped) {
      return UNKNOWN;
    }
    const lease = this.#lease(record, turn);
    if (!(lease instanceof Lease)) return lease;
    const { version, forwardedFor, forwardedProto } = origin;
    const hop = HOPS[hops] ?? { name: HOPS_FIELD, value: String(hops) };
    const additions =
      authority === undefined
        ? [lease.field, version, hop, forwardedFor, forwardedProto]
        : [lease.field, version, hop, forwardedFor, forwardedProto, target.forwardedHost];
    // HTTP/1.0 needs no Host, HTTP/2 does (RFC 9113 section 8.3.1): the share's own name, since that is what was meant.
    const named = authority === undefined ? withAuthority(fields, `${record.name}.${this.#options.domain}`) : fields;
    lease.owner.forward(forwardedHead(named, additions), ended, join, kind === "websocket");
    return undefined;
  }

  /** The same answer whether the name never was, is expired, or was given back; and the name is not repeated. */
  #find(name: string, target: Target, visitor: string, turn: Turn): ShareRecord<Lease> | Failure | Waits {
    const { guesses, registry, room } = this.#options;
    if (!target.right && !guesses.allows(visitor, name)) return TOO_OFTEN;
    const record = registry.find(name);
    if (record?.kind !== "http") {
      const until = turn === "late" || registry.knows(name) ? undefined : room.untilStarted();
      if (until !== undefined) return { name, until };
      guesses.wrong(visitor, name);
      return UNKNOWN;
    }
    if (!target.right) guesses.right(visitor, name);
    target.right = true;
    return record;
  }

  /** The link that takes an exchange of this share now. */
  #lease(record: ShareRecord<Lease>, turn: Turn): Lease | Failure | Waits {
    const { room } = this.#options;
    const { name, holders } = record;
    // Who waits already goes first.
    const lease = turn === "first" && room.isAwaited(name) ? undefined : nextLease(record);
    if (lease !== undefined) return lease;
    const until = holders.length > 0 ? room.untilRoom() : room.untilReturn(name);
    if (until !== undefined && turn !== "late") return { name, until };
    if (holders.length > 0) return FULL;
    return { by: "relay", code: "offline", message: `The share ${name} is not connected` };
  }

  #isOwn(host: string): boolean {
    return host === this.#options.domain || this.#options.ownHosts.includes(host);
  }

  /** Only for who just looks: the relay itself stands in for the service. */
  #frontPage(fields: Fields, ended: boolean, join: Join): boolean {
    const method = valueOf(fields, ":method");
    if (!ended || valueOf(fields, ":path") !== "/" || (method !== "GET" && method !== "HEAD")) return false;
    const head: Field[] = [
      { name: ":status", value: "200" },
      { name: "content-type", value: "text/plain; charset=utf-8" },
      { name: "content-length", value: String(FRONT_PAGE.length) },
      { name: "x-robots-tag", value: "noindex" },
    ];
    join.serviceEvents.headReceived(head, method === "HEAD");
    if (method === "GET") join.serviceEvents.dataReceived(FRONT_PAGE, true);
    return true;
  }

  readonly #closed = (): void => {
    this.inFlight--;
  };
}

function targetOf(fields: Fields, origin: Origin): Target {
  const text = valueOf(fields, ":authority") ?? valueOf(fields, "host") ?? "";
  if (origin.target?.text === text) return origin.target;
  origin.target = {
    text,
    authority: parseAuthority(text),
    forwardedHost: { name: "x-forwarded-host", value: text },
    right: false,
  };
  return origin.target;
}

function withAuthority(fields: Fields, authority: string): Fields {
  return [{ name: ":authority", value: authority }, ...fields.filter((field) => field.name !== ":authority")];
}

const UNKNOWN: Failure = { by: "relay", code: "unknown-name", message: "No port is shared under this name" };

const TOO_OFTEN: Failure = {
  by: "relay",
  code: "too-often",
  message: "From this network too many names were asked for that do not exist",
};

const FULL: Failure = {
  by: "relay",
  code: "limit",
  message: "The tunnel to the service carries as many requests at once as it can",
};
