import type { Join } from "../tunnel/join.ts";
import type { ShareGrant, ShareRequest } from "../tunnel/protocol.ts";
import type { Party } from "../wire/stream.ts";
import type { TappedShare } from "../capture/tap.ts";
import type { ShareInfo, ShareOptions, ShareState } from "./options.ts";
import { serviceOrigin } from "./rewrite.ts";
import type { ServiceOrigin } from "./rewrite.ts";
import { Service } from "./services/service.ts";
import { loopbackAddresses } from "./validation.ts";
import { isLoopback, parseTunnelUrl } from "../tunnel/transports.ts";

/** A share and everything that belongs to it: what was granted, the service, the exchanges that are open. */
export class Share {
  readonly id: string;
  readonly options: ShareOptions;
  readonly host: string;
  readonly service: Service;
  state: ShareState = "connecting";
  problem: ShareInfo["problem"];
  retryAt: number | undefined;
  rttMs: number | undefined;
  grant: ShareGrant | undefined;
  /** As the capture names it. Replaced when the grant comes: its name is not known before. */
  tapped: TappedShare;
  readonly joins = new Set<Join>();
  exchanges = 0;
  visitorBytes = 0;
  serviceBytes = 0;
  /** Called when the last open exchange ends. */
  idle: () => void = () => undefined;
  readonly #reach: ShareInfo["reach"];
  readonly #cleartextOrigin: ServiceOrigin;
  readonly #tlsOrigin: ServiceOrigin;

  /** @param options validated. */
  constructor(id: string, options: ShareOptions) {
    this.id = id;
    this.options = options;
    this.host = options.host ?? "localhost";
    this.service = new Service({
      host: this.host,
      port: options.port,
      addresses: loopbackAddresses(this.host) ?? [],
    });
    this.tapped = { id, port: options.port, name: options.name ?? "" };
    this.#cleartextOrigin = serviceOrigin(this.host, options.port, false);
    this.#tlsOrigin = serviceOrigin(this.host, options.port, true);
    this.#reach = isLoopback(parseTunnelUrl(options.relay.url).host) ? (options.reach ?? "loopback") : "public";
  }

  /** The service's place as it is written into heads: the same field objects for each request. */
  origin(tls: boolean): ServiceOrigin {
    return tls ? this.#tlsOrigin : this.#cleartextOrigin;
  }

  /** What the relay is asked for; after a grant, for the same name and port again. */
  request(): ShareRequest {
    const { kind, port, reach } = this.options;
    const name = this.grant?.name ?? this.options.name;
    const secret = this.grant?.secret ?? this.options.secret;
    const publicPort = this.grant?.publicPort ?? this.options.publicPort;
    return {
      id: this.id,
      kind,
      port,
      ...(name === undefined ? {} : { name }),
      ...(secret === undefined ? {} : { secret }),
      ...(publicPort === undefined ? {} : { publicPort }),
      ...(reach === undefined ? {} : { reach }),
    };
  }

  granted(grant: ShareGrant): void {
    this.grant = grant;
    this.tapped = { id: this.id, port: this.options.port, name: grant.name };
    this.setState("online");
  }

  setState(state: ShareState, problem?: ShareInfo["problem"], retryAt?: number): void {
    this.state = state;
    this.problem = problem;
    this.retryAt = retryAt;
    if (state !== "online") this.rttMs = undefined;
  }

  /** Ends the exchanges that are open: a cut, since they have not ended by themselves. */
  cut(by: Party, message: string): void {
    for (const join of [...this.joins]) join.fail({ by, code: "closed", message });
  }

  info(): ShareInfo {
    const { grant, problem, retryAt, rttMs } = this;
    return {
      id: this.id,
      port: this.options.port,
      kind: this.options.kind,
      state: this.state,
      name: grant?.name ?? this.options.name ?? "",
      url: grant?.url ?? "",
      alternativeUrls: grant?.alternativeUrls ?? [],
      ...(grant?.publicPort === undefined ? {} : { publicPort: grant.publicPort }),
      relayUrl: this.options.relay.url,
      reach: this.#reach,
      ...(problem === undefined ? {} : { problem }),
      ...(retryAt === undefined ? {} : { retryAt }),
      ...(rttMs === undefined ? {} : { rttMs: Math.round(rttMs * 10) / 10 }),
      exchanges: this.exchanges,
      openExchanges: this.joins.size,
      visitorBytes: this.visitorBytes,
      serviceBytes: this.serviceBytes,
    };
  }
}
