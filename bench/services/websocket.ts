/**
 * Echoes WebSocket messages whose mask is zero and whose size is always the same, as `bench/load/websocket.ts` sends
 * them: nothing needs to be parsed but lengths. `websocket.ts [COUNT]` listens on so many ports and prints them.
 */
import { createHash } from "node:crypto";
import net from "node:net";
import { answerFrame, FRAME_BYTES } from "../load/websocket-frame.ts";

/** RFC 6455 section 4.2.2. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

function serve(socket: net.Socket): void {
  let head: string | undefined = "";
  let waiting = 0;
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    if (head !== undefined) {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1];
      if (key === undefined) {
        // A question what this port speaks.
        socket.end("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
      }
      const accept = createHash("sha1")
        .update(key + GUID)
        .digest("base64");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      waiting = head.length - end - 4;
      head = undefined;
    } else waiting += chunk.length;
    for (; waiting >= FRAME_BYTES; waiting -= FRAME_BYTES) socket.write(answerFrame);
  });
}

const ports = await Promise.all(
  Array.from(
    { length: Number(process.argv[2] ?? 1) },
    () =>
      new Promise<number>((resolve) => {
        const server = net.createServer({ noDelay: true }, serve);
        server.listen({ port: 0, host: "127.0.0.1", backlog: 511 }, () =>
          resolve((server.address() as net.AddressInfo).port),
        );
      }),
  ),
);
console.log(JSON.stringify({ type: "listening", port: ports[0], ports }));
