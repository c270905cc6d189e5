/**
 * Visitors with WebSockets, in a process of their own. `websocket.ts echo SECONDS CONNECTIONS TARGET` sends the next
 * message when the echo of the last is there and prints how many came back; `websocket.ts idle CONNECTIONS TARGET …`
 * opens them, spread over the targets, and holds them until it is ended. TARGET is a JSON `Public`.
 */
import net from "node:net";
import type { Public } from "../peers/peer.ts";
import { ANSWER_BYTES, visitorFrame } from "./websocket-frame.ts";

/** As many at once as a listener's backlog takes. */
const OPENING_AT_ONCE = 100;

function open(target: Public): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const host = target.authority ?? `127.0.0.1:${target.port}`;
    const socket = net.connect({ port: target.port, host: "127.0.0.1", noDelay: true });
    const upgrade =
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let expected = target.connect === true ? 200 : 101;
    socket.write(target.connect === true ? `CONNECT ${host}:80 HTTP/1.1\r\nHost: ${host}:80\r\n\r\n` : upgrade);
    let text = "";
    const read = (chunk: Buffer): void => {
      text += chunk.toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      if (!text.startsWith(`HTTP/1.1 ${expected} `)) {
        socket.destroy();
        reject(new Error(`answered ${text.split("\r\n")[0] ?? ""}`));
      } else if (expected === 200) {
        expected = 101;
        text = "";
        socket.write(upgrade);
      } else {
        socket.off("data", read);
        resolve(socket);
      }
    };
    socket.on("data", read);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed before the answer to the Upgrade")));
  });
}

async function openAll(count: number, targets: readonly Public[]): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  for (let from = 0; from < count; from += OPENING_AT_ONCE) {
    const batch = Array.from({ length: Math.min(OPENING_AT_ONCE, count - from) }, (_, index) => {
      const target = targets[(from + index) % targets.length];
      if (target === undefined) throw new Error("No target");
      return open(target);
    });
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

async function echo(seconds: number, connections: number, target: Public): Promise<void> {
  const sockets = await openAll(connections, [target]);
  let echoed = 0;
  const began = performance.now();
  for (const socket of sockets) {
    let waiting = 0;
    socket.on("data", (chunk: Buffer) => {
      waiting += chunk.length;
      if (waiting < ANSWER_BYTES) return;
      waiting -= ANSWER_BYTES;
      echoed++;
      socket.write(visitorFrame);
    });
    socket.write(visitorFrame);
  }
  setTimeout(() => {
    const value = (echoed * 1000) / (performance.now() - began);
    console.log(JSON.stringify({ type: "echoed", value, done: echoed }));
    process.exit(0);
  }, seconds * 1000);
}

async function idle(connections: number, targets: readonly Public[]): Promise<void> {
  const sockets = await openAll(connections, targets);
  let lost = 0;
  for (const socket of sockets)
    socket.on("close", () => {
      if (lost++ === 0) console.log(JSON.stringify({ type: "lost" }));
    });
  console.log(JSON.stringify({ type: "opened", count: sockets.length }));
}

process.on("uncaughtException", (error) => {
  console.log(JSON.stringify({ type: "failed", message: error.message }));
  process.exit(1);
});
const [mode, ...rest] = process.argv.slice(2);
const targets = rest.filter((text) => text.startsWith("{")).map((text) => JSON.parse(text) as Public);
if (mode === "idle") await idle(Number(rest[0]), targets);
else if (targets[0] !== undefined) await echo(Number(rest[0]), Number(rest[1]), targets[0]);
