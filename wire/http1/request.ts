import type { Field, Fields } from "../stream.ts";
import type { HeadReader, Problem } from "./head.ts";
import type { Framing } from "./summary.ts";
import { Summary, framingOf } from "./summary.ts";
import { WEBSOCKET, webSocketKey, withoutHandshake } from "./upgrade.ts";

/** A request head with its meaning, RFC 9112 section 3. */
export interface RequestHead {
  /** Pseudo-fields, then the end-to-end fields. */
  readonly fields: Fields;
  readonly method: string;
  readonly minor: number;
  readonly framing: Framing;
  /** The visitor wants to send more requests on this connection. */
  readonly persistent: boolean;
  readonly expectsContinue: boolean;
  /** Sec-WebSocket-Key, if this is a WebSocket handshake. */
  readonly webSocketKey: string | undefined;
}

/** `:method`, `:scheme`, `:authority`, `:path`. */
const PSEUDO_FIELDS = 4;

const METHOD_FIELDS = new Map(
  ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"].map((value) => [value, { name: ":method", value }]),
);
const CONNECT: Field = { name: ":method", value: "CONNECT" };

/** uri-host [ ":" port ], RFC 9110 section 7.2: a name or IPv4 address, or an address in brackets. No userinfo, no list. */
const AUTHORITY_PATTERN = /^(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;

const ABSOLUTE_PATTERN = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)(.*)$/;

/** Gives request heads of one connection their meaning. Fields that repeat are the same objects. */
export class RequestInterpreter {
  readonly #scheme: Field;
  #authority: Field = { name: ":authority", value: "" };
  #path: Field = { name: ":path", value: "/" };

  constructor(scheme: "http" | "https") {
    this.#scheme = { name: ":scheme", value: scheme };
  }

  interpret(head: HeadReader): RequestHead | Problem {
    const method = head.method;
    if (method === "CONNECT") return NO_CONNECT;
    if (method === "PRI") return NO_PREFACE;
    const summary = new Summary(head, PSEUDO_FIELDS);
    const framing = framingOf(summary, head.minor);
    if ("reason" in framing) return framing;
    const problem = this.#target(head, summary);
    if (problem !== undefined) return problem;
    const key = webSocketKey(head, summary);
    if (typeof key === "object") return key;

    let fields = summary.fields;
    fields[0] = METHOD_FIELDS.get(method) ?? { name: ":method", value: method };
    fields[1] = this.#scheme;
    fields[2] = this.#authority;
    fields[3] = this.#path;
    if (key !== undefined) {
      fields = [CONNECT, WEBSOCKET, this.#scheme, this.#authority, this.#path];
      fields.push(...withoutHandshake(summary.fields, PSEUDO_FIELDS));
    }
    return {
      fields,
      method,
      minor: head.minor,
      framing,
      persistent: head.minor === 1 ? !summary.close : summary.keepAlive && !summary.close,
      expectsContinue: summary.expectsContinue && head.minor === 1,
      webSocketKey: key,
    };
  }

  /** One authority, computed once: whoever routes and whoever forwards read the same value. */
  #target(head: HeadReader, summary: Summary): Problem | undefined {
    const target = head.target;
    const host = summary.host?.value;
    if (summary.hosts > 1 || (host === undefined && head.minor === 1)) return HOST_NOT_ONE;
    // HTTP/1.0 knows no Host; there an empty one is as good as none.
    if (host === "" && head.minor === 1) return BAD_HOST;
    if (host !== undefined && host !== "" && host !== this.#authority.value && !AUTHORITY_PATTERN.test(host)) {
      return BAD_HOST;
    }
    let authority = host ?? "";
    let path = target;
    if (!target.startsWith("/")) {
      const absolute = ABSOLUTE_PATTERN.exec(target);
      if (absolute !== null) {
        const [, scheme = "", targetAuthority = "", rest = ""] = absolute;
        if (scheme.toLowerCase() !== this.#scheme.value || !AUTHORITY_PATTERN.test(targetAuthority)) return BAD_TARGET;
        // RFC 9112 section 3.2.2 lets the target win; two values are two chances to be routed wrongly.
        if (host !== undefined && host.toLowerCase() !== targetAuthority.toLowerCase()) return OTHER_HOST;
        authority = host ?? targetAuthority;
        path = rest.startsWith("/") ? rest : rest === "" && head.method === "OPTIONS" ? "*" : `/${rest}`;
      } else if (target !== "*" || head.method !== "OPTIONS") {
        return BAD_TARGET;
      }
    }
    if (authority !== this.#authority.value) this.#authority = { name: ":authority", value: authority };
    if (path !== this.#path.value) this.#path = { name: ":path", value: path };
    return undefined;
  }
}

const NO_CONNECT: Problem = { status: 501, reason: "CONNECT is not offered here: this is no forward proxy." };
/** RFC 9113 section 3.4: no method, but how HTTP/2 begins. A service that looks at three octets only would switch to it. */
const NO_PREFACE: Problem = { status: 501, reason: "PRI is the beginning of HTTP/2, and no method." };
const HOST_NOT_ONE: Problem = { status: 400, reason: "A request needs exactly one Host." };
const BAD_HOST: Problem = { status: 400, reason: "Host is not a name or address with an optional port." };
const OTHER_HOST: Problem = { status: 400, reason: "The request target and Host name different hosts." };
const BAD_TARGET: Problem = { status: 400, reason: "The request target is not a path." };
