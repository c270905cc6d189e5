/**
 * Relay and agent as one would write them with `node:http2`: the agent dials, one session, one stream per request, streams
 * piped both ways. As a program: `node-http2.ts relay`, `node-http2.ts agent TUNNEL-PORT SERVICE-PORT`.
 */
import http2 from "node:http2";
import net from "node:net";
import { startNode } from "../child.ts";
import { running } from "./peer.ts";
import type { Peer } from "./peer.ts";

const FILE = "bench/peers/node-http2.ts";

export const nodeHttp2: Peer = {
  name: "node-http2",
  title: "relay and agent on `node:http2`",
  needs: [],
  carries: ["h2"],
  async start(service) {
    const relay = startNode(FILE, ["relay"]);
    const { port, tunnel } = await relay.nextJson("listening");
    const agent = startNode(FILE, ["agent", String(tunnel), String(service.port)]);
    await relay.nextJson("dialled");
    return running({ port: Number(port) }, [relay], [agent]);
  },
};

/** Windows of 1 MiB, as ours has them: with node's default of 64 KiB a download waits for the window. */
const SETTINGS = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: 1000 };

/** Hop by hop; node:http2 throws at them. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding"]);

function endToEnd(headers: http2.IncomingHttpHeaders): http2.OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

const END_STREAM = 1;

/** Passes one request on into `session`, and the answer back. Whatever happens to a stream that is gone throws. */
function forward(
  session: http2.ClientHttp2Session | undefined,
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  flags: number,
): void {
  stream.on("error", () => undefined);
  if (session === undefined || session.destroyed || session.closed) {
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    return;
  }
  const endStream = (flags & END_STREAM) !== 0;
  const request = session.request(endToEnd(headers), { endStream });
  if (!endStream) stream.pipe(request);
  request.on("response", (answer) => {
    if (stream.destroyed || stream.closed) return;
    let trailers: http2.IncomingHttpHeaders | undefined;
    stream.respond(endToEnd(answer), { waitForTrailers: true });
    stream.on("wantTrailers", () => {
      if (!stream.destroyed && !stream.closed) stream.sendTrailers(trailers ?? {});
    });
    request.on("trailers", (fields: http2.IncomingHttpHeaders) => (trailers = fields));
    request.pipe(stream);
  });
  request.on("error", () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
  stream.on("close", () => {
    if (!request.closed) request.close(http2.constants.NGHTTP2_CANCEL);
  });
}

function relay(): void {
  let session: http2.ClientHttp2Session | undefined;
  const visitors = http2.createServer({ settings: SETTINGS });
  visitors.on("stream", (stream, headers, flags) => forward(session, stream, headers, flags));
  visitors.on("session", (visitor) => visitor.on("error", () => undefined));
  const agents = net.createServer({ noDelay: true }, (socket) => {
    session = http2.connect("http://agent", { createConnection: () => socket, settings: SETTINGS });
    session.on("error", () => undefined);
    session.once("remoteSettings", () => console.log(JSON.stringify({ type: "dialled" })));
  });
  agents.listen(0, "127.0.0.1", () =>
    visitors.listen(0, "127.0.0.1", () => {
      const [port, tunnel] = [visitors, agents].map((server) => (server.address() as net.AddressInfo).port);
      console.log(JSON.stringify({ type: "listening", port, tunnel }));
    }),
  );
}

/** What it did not survive, it begins anew: nghttp2 ends a connection with too many cancelled streams. */
function agent(tunnelPort: number, servicePort: number): void {
  let service: http2.ClientHttp2Session | undefined;
  const server = http2.createServer({ settings: SETTINGS });
  server.on("session", (session) => session.on("error", () => undefined));
  server.on("stream", (stream, headers, flags) => {
    if (service === undefined || service.closed) {
      service = http2.connect(`http://127.0.0.1:${servicePort}`, { settings: SETTINGS });
      service.on("error", () => undefined);
    }
    forward(service, stream, headers, flags);
  });
  const dial = (): void => {
    const socket = net.connect({ port: tunnelPort, host: "127.0.0.1", noDelay: true });
    socket.once("connect", () => server.emit("connection", socket));
    socket.once("error", () => undefined);
    socket.once("close", () => setTimeout(dial, 100));
  };
  dial();
}

if (import.meta.filename === process.argv[1]) {
  const [role, ...ports] = process.argv.slice(2);
  if (role === "relay") relay();
  else agent(Number(ports[0]), Number(ports[1]));
}
