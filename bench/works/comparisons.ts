/** The works whose result is a ratio to peers, with the targets of `docs/performance.md`. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { startNode } from "../child.ts";
import { http1Requests, http2Fill, http2Requests, transfer, unaryLatency } from "../load/generators.ts";
import type { Sample } from "../load/generators.ts";
import { devTunnelsSsh } from "../peers/dev-tunnels-ssh.ts";
import { nodeHttp2 } from "../peers/node-http2.ts";
import type { Peer, Public } from "../peers/peer.ts";
import { nodePipes, nodeTlsPipes } from "../peers/pipes.ts";
import { editor, portlight, portlightPlainHeap, portlightTls, startEditor } from "../peers/portlight.ts";
import type { Editor } from "../peers/portlight.ts";
import { bore, chisel, frpHttp, frpTcp, frpTcpmux, nghttpx, rathole } from "../peers/programs.ts";
import { scratch } from "../scratch.ts";
import { FILLING_BYTES, http1Service, http2Service, largeFile, nodeService } from "../services/services.ts";
import { comparison } from "./compare.ts";
import type { Comparison } from "./compare.ts";
import type { Options, Work } from "./work.ts";

const tcp: readonly Peer[] = [frpTcp, chisel, bore, rathole, devTunnelsSsh];

const CLIENTS = 4;
const STREAMS = 32;

const h2 = {
  name: "h2",
  title: `HTTP/2, 16-octet answers, ${CLIENTS} connections × ${STREAMS} streams`,
  unit: "requests/s",
  thing: "request",
  needs: ["h2load", "nghttpd"],
  protocol: "h2",
  service: http2Service,
  ours: portlight,
  peers: [portlight, portlightPlainHeap, nodeHttp2, nghttpx, nodePipes, frpHttp, ...tcp],
  quickPeers: ["node-http2", "nghttpx", "frp-http"],
  targets: [
    { peer: "node-http2", atLeast: 10 },
    { peer: "nghttpx", atLeast: 1 },
    { peer: "frp-http", atLeast: 2 },
  ],
  measure: (target: Public, { seconds }: Options) =>
    target.http1Only === true
      ? http1Requests(target, { connections: CLIENTS * STREAMS, seconds })
      : http2Requests(target, { clients: CLIENTS, streams: STREAMS, seconds }),
} satisfies Comparison;

const h1 = {
  ...h2,
  name: "h1",
  title: "HTTP/1.1 with keep-alive, 16-octet answers, 64 connections",
  needs: ["wrk", "nginx"],
  protocol: "h1",
  service: http1Service,
  peers: [portlight, portlightPlainHeap, nghttpx, nodePipes, frpHttp, ...tcp],
  quickPeers: ["frp-http", "chisel"],
  targets: [
    { peer: "frp-http", atLeast: 2 },
    { peer: "chisel", atLeast: 1 },
    { peer: "bore", atLeast: 1 },
    { peer: "dev-tunnels-ssh", atLeast: 1 },
  ],
  measure: (target: Public, { seconds }: Options) => http1Requests(target, { connections: 64, seconds }),
} satisfies Comparison;

/** A call with an empty message. */
async function callFile(): Promise<string> {
  const file = path.join(await scratch(), "call");
  await writeFile(file, Buffer.alloc(5));
  return file;
}

const unary = {
  ...h2,
  name: "unary",
  title: "gRPC unary, one call at a time: latency added to a direct call",
  unit: "µs",
  thing: "call",
  minusDirect: true,
  needs: ["h2load"],
  service: () => nodeService("grpc"),
  peers: [portlight, portlightPlainHeap, nghttpx, nodeHttp2, nodePipes, ...tcp],
  quickPeers: ["pipes"],
  targets: [{ peer: "pipes", atMost: 2 }],
  measure: async (target: Public, { seconds }: Options) => {
    const files = { request: await callFile(), log: path.join(await scratch(), "calls") };
    return unaryLatency(target, files, seconds);
  },
} satisfies Comparison;

/** A slow peer gets so long per sample; its rate is known by then. */
function bulkSeconds({ quick, seconds }: Options): number {
  return quick || seconds === 1 ? 1 : 3;
}

function bulk(name: string, title: string, direction: "download" | "upload", parallel: number): Comparison {
  return {
    name,
    title,
    unit: "MB/s",
    thing: "MB",
    needs: ["curl", "nginx"],
    protocol: "h1",
    service: direction === "upload" ? () => nodeService("sink") : http1Service,
    ours: portlight,
    peers: [portlight, portlightPlainHeap, nghttpx, nodePipes, frpHttp, frpTcpmux, ...tcp],
    quickPeers: ["pipes", "dev-tunnels-ssh"],
    targets: [
      { peer: "pipes", atLeast: 0.85 },
      { peer: "dev-tunnels-ssh", atLeast: 2 },
    ],
    measure: async (target, options) =>
      transfer(target, {
        direction,
        path: direction === "upload" ? "/upload" : "/large",
        file: await largeFile(),
        parallel,
        seconds: bulkSeconds(options),
      }),
  };
}

const download = bulk("download", "one download of 1 GB", "download", 1);
const upload = bulk("upload", "one upload of 1 GB", "upload", 1);
const parallel = bulk("parallel", "four downloads of 1 GB at once", "download", 4);

function overTls(work: Comparison): Comparison {
  return {
    ...work,
    name: `tls-${work.name}`,
    title: `${work.title}, TLS on the tunnel`,
    ours: portlightTls,
    peers: [portlightTls, nodeTlsPipes, chisel, devTunnelsSsh],
    quickPeers: ["pipes-tls"],
    targets: [
      { peer: "pipes-tls", atLeast: 0.85 },
      { peer: "dev-tunnels-ssh", atLeast: 2 },
    ],
  };
}

const ECHO_CONNECTIONS = 100;

const webSocket = {
  ...h1,
  name: "websocket",
  title: `WebSocket echo, ${ECHO_CONNECTIONS} connections, 1 KB`,
  unit: "messages/s",
  thing: "message",
  needs: [],
  service: () => nodeService("websocket"),
  peers: [portlight, portlightPlainHeap, nghttpx, nodePipes, frpHttp, frpTcpmux, ...tcp],
  quickPeers: ["chisel"],
  targets: [{ peer: "chisel", atLeast: 1 }],
  measure: async ({ port, authority, connect }: Public, { seconds }: Options): Promise<Sample> => {
    const target = JSON.stringify({ port, authority, connect });
    const load = startNode("bench/load/websocket.ts", ["echo", String(seconds), String(ECHO_CONNECTIONS), target]);
    try {
      const { value, done } = await load.nextJson("echoed", seconds * 1000 + 20_000);
      if (done === 0) throw new Error("no message came back");
      return { value: Number(value), done: Number(done) };
    } finally {
      await load.stop();
    }
  },
} satisfies Comparison;

/** The extension's own processes; `prepare` fills the ring. */
let capturing: Editor | undefined;

const editorCapturing: Peer = {
  name: "editor-capturing",
  title: "**the extension's processes, capture on, 64 MiB ring full**",
  needs: [],
  carries: ["h2", "h1", "raw"],
  start: async (service) => (capturing = await startEditor(service, true)),
};

async function fillRing(): Promise<void> {
  if (capturing === undefined) throw new Error("Nothing captures");
  const { maxBytes } = await capturing.captureState();
  await http2Fill(capturing, "/filling", Math.ceil((2 * maxBytes) / FILLING_BYTES));
  const { bytes, droppedBytes } = await capturing.captureState();
  if (droppedBytes === 0 || bytes < 0.9 * maxBytes)
    throw new Error(`the ring is not full: ${bytes} of ${maxBytes}, ${droppedBytes} dropped`);
}

function captured(work: Comparison, title: string, atLeast: number): Comparison {
  return {
    ...work,
    name: `capture-${work.name}`,
    title,
    ours: editorCapturing,
    peers: [editorCapturing, editor],
    quickPeers: ["editor"],
    targets: [{ peer: "editor", atLeast }],
    prepare: fillRing,
  };
}

export const comparisons: readonly Work[] = [
  comparison(h2),
  comparison(h1),
  comparison(unary),
  comparison(download),
  comparison(upload, false),
  comparison(parallel, false),
  comparison(overTls(download), false),
  comparison(overTls(upload), false),
  comparison(overTls(parallel), false),
  comparison(webSocket),
  comparison(captured(h2, "capture on, its ring of 64 MiB full, beside capture off: HTTP/2 requests", 0.75)),
  comparison(
    captured(download, "capture on, its ring of 64 MiB full, beside capture off: a download of 1 GB", 0.9),
    false,
  ),
];
