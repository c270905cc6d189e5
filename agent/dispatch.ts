import type { Tap } from "../capture/tap.ts";
import { isReserved, valueOf, without } from "../tunnel/fields.ts";
import { Join } from "../tunnel/join.ts";
import { SHARE_FIELD, VERSION_FIELD } from "../tunnel/protocol.ts";
import { attachSocket } from "../tunnel/socket.ts";
import { RawConnection } from "../wire/raw.ts";
import type { Failure, Fields, Stream, StreamEvents } from "../wire/stream.ts";
import { ExchangeObserver, ServiceExchange } from "./exchange.ts";
import type { Wants } from "./services/choice.ts";
import { ServiceError } from "./services/dial.ts";
import type { Share } from "./share.ts";

export interface DispatchOptions {
  readonly tap: Tap | undefined;
  readonly share: (id: string) => Share | undefined;
  /** Something that `ShareInfo` counts has changed. */
  readonly counted: () => void;
}

const HTTP1_WANTS = wantsOfVersion(1);
const HTTP2_WANTS = wantsOfVersion(2);

function wantsOfVersion(visitorVersion: 1 | 2): Readonly<Record<Wants["kind"], Wants>> {
  return {
    http: { kind: "http", visitorVersion },
    grpc: { kind: "grpc", visitorVersion },
    websocket: { kind: "websocket", visitorVersion },
  };
}

const CONNECTED: Fields = [{ name: ":status", value: "200" }];

/** Takes one exchange from the tunnel to the service that its share names. */
export function dispatch(stream: Stream, fields: Fields, end: boolean, options: DispatchOptions): StreamEvents {
  const share = options.share(valueOf(fields, SHARE_FIELD) ?? "");
  if (share === undefined)
    return refuse(stream, fields, end, { code: "unknown-name", message: "This port is not shared any more" });
  const isConnect = valueOf(fields, ":method") === "CONNECT";
  const protocol = valueOf(fields, ":protocol");
  const isTcp = isConnect && protocol === undefined;
  if (isTcp !== (share.options.kind === "tcp"))
    return refuse(stream, fields, end, {
      code: "unsupported",
      message: `Port ${share.options.port} is shared for ${share.options.kind === "tcp" ? "TCP connections" : "HTTP"} only`,
    });
  if (protocol !== undefined && protocol !== "websocket")
    return refuse(stream, fields, end, {
      code: "unsupported",
      message: "Of the extended CONNECTs only WebSockets are forwarded",
    });

  const { tap, counted } = options;
  const observer = new ExchangeObserver(share, tap?.opened(share.tapped, without(fields, isReserved), end), counted);
  const join = new Join(stream, fields, end, { party: "agent", observer });
  observer.join = join;
  // What happens before we return must be heard too: a full waiting line answers at once.
  stream.events = join.visitorEvents;
  share.exchanges += 1;
  share.joins.add(join);
  counted();
  if (isTcp) {
    void connectTcp(share, join);
  } else {
    const wants = wantsOf(fields, protocol);
    const exchange = new ServiceExchange(share, join, fields, end, wants);
    share.service.acquire(exchange);
  }
  return join.visitorEvents;
}

function wantsOf(fields: Fields, protocol: string | undefined): Wants {
  const wants = valueOf(fields, VERSION_FIELD)?.startsWith("1") === true ? HTTP1_WANTS : HTTP2_WANTS;
  if (protocol === "websocket") return wants.websocket;
  const contentType = valueOf(fields, "content-type");
  // Not gRPC-Web, which was made for what HTTP/1 can carry.
  return contentType !== undefined && /^application\/grpc(?:$|[+; ])/i.test(contentType) ? wants.grpc : wants.http;
}

async function connectTcp(share: Share, join: Join): Promise<void> {
  try {
    const socket = await share.service.openRaw();
    if (join.closed) {
      socket.destroy();
      return;
    }
    const raw = attachSocket(
      socket,
      (transport) => new RawConnection({ transport, events: join.serviceEvents, peer: "service", party: "agent" }),
    );
    // A TCP connection has no head: that it is open is the answer.
    join.serviceEvents.headReceived(CONNECTED, false);
    if (!join.connect(() => raw)) raw.reset({ by: "agent", code: "cancelled", message: "The exchange is over" });
  } catch (error) {
    join.fail(
      error instanceof ServiceError
        ? error.failure
        : { by: "agent", code: "internal", message: `The connection to port ${share.options.port} could not be made` },
    );
  }
}

function refuse(
  stream: Stream,
  fields: Fields,
  end: boolean,
  failure: Pick<Failure, "code" | "message">,
): StreamEvents {
  const join = new Join(stream, fields, end, { party: "agent" });
  stream.events = join.visitorEvents;
  join.fail({ by: "agent", ...failure });
  return join.visitorEvents;
}
