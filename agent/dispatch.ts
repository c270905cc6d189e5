import type { Tap } from "../capture/tap.ts";
import { isReserved, valueOf, without } from "../tunnel/fields.ts";
import { Join } from "../tunnel/join.ts";
import { HOPS_FIELD, SHARE_FIELD, VERSION_FIELD } from "../tunnel/protocol.ts";
import { attachSocket } from "../tunnel/socket.ts";
import { RawConnection } from "../wire/raw.ts";
import type { Failure, Field, Fields, Stream, StreamEvents } from "../wire/stream.ts";
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

  const visible = without(fields, isReserved);
  const observer = new ExchangeObserver(share, options.tap?.opened(share.tapped, visible, end), options.counted);
  const join = new Join(stream, fields, end, {
    party: "agent",
    observer,
    onClosed: (_failure, closed) => {
      share.joins.delete(closed);
      if (share.joins.size === 0) share.idle();
      options.counted();
    },
  });
  // What happens before we return must be heard too: a full waiting line answers at once.
  stream.events = join.visitorEvents;
  share.exchanges += 1;
  share.joins.add(join);
  options.counted();
  if (isTcp) {
    void connectTcp(share, join);
  } else {
    const wants = wantsOf(fields, protocol);
    const exchange = new ServiceExchange(share, join, withHops(visible, fields), end, wants);
    share.service.acquire(exchange);
  }
  return join.visitorEvents;
}

function wantsOf(fields: Fields, protocol: string | undefined): Wants {
  const visitorVersion = valueOf(fields, VERSION_FIELD)?.startsWith("1") === true ? 1 : 2;
  if (protocol === "websocket") return { kind: "websocket", visitorVersion };
  const contentType = valueOf(fields, "content-type") ?? "";
  // Not gRPC-Web, which was made for what HTTP/1 can carry.
  const isGrpc = /^application\/grpc(?:$|[+; ])/i.test(contentType);
  return { kind: isGrpc ? "grpc" : "http", visitorVersion };
}

/** The one field of ours that goes on: a service that calls its own URL carries it, and the relay sees the loop. */
function withHops(visible: Fields, fields: Fields): Fields {
  const hops = fields.find((field: Field) => field.name === HOPS_FIELD);
  return hops === undefined ? visible : [...visible, hops];
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
