import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { after, before, describe, test } from "node:test";
import { Http1Proxy, portOf } from "../../test/support/http1-proxy.ts";

/**
 * A cut is never an end, over real sockets: a service that ends within its answer in every way there is, and what the
 * octets of the visitor's connection and its end say then.
 */
const ANSWERS = {
  "content-length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart",
  chunked: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
  "within a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\npart",
  "before the last line": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n",
  "close-delimited": "HTTP/1.1 200 OK\r\n\r\npart",
} as const;

const UPLOADS = {
  "content-length": "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\npart",
  chunked: "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
  "before the last line": "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n",
} as const;

type Cut = "FIN" | "RST";

function cut(socket: net.Socket, how: Cut): void {
  if (how === "FIN") socket.end();
  else socket.resetAndDestroy();
}

/** All that a socket brings, and how it ended. */
async function drain(socket: net.Socket): Promise<{ text: string; end: "FIN" | "RST" }> {
  let text = "";
  let end: "FIN" | "RST" = "RST";
  socket.on("data", (data: Buffer) => (text += data.toString("latin1")));
  socket.on("end", () => (end = "FIN"));
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("close", resolve));
  return { text, end };
}

describe("cuts over real sockets", () => {
  let act: (socket: net.Socket) => void = () => undefined;
  const service = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    act(socket);
  });
  let proxy: Http1Proxy;
  let port = 0;
  before(async () => {
    service.listen(0, "127.0.0.1");
    await once(service, "listening");
    proxy = new Http1Proxy(portOf(service));
    port = await proxy.listen();
  });
  after(() => {
    proxy.close();
    service.close();
  });

  for (const [framing, answer] of Object.entries(ANSWERS)) {
    for (const how of ["FIN", "RST"] as const) {
      const complete = framing === "close-delimited" && how === "FIN";
      test(`the service's ${how}, ${framing}: ${complete ? "the one end there is" : "RST for the visitor"}`, async () => {
        const visitor = net.connect(port, "127.0.0.1");
        act = (socket) => {
          socket.once("data", () => socket.write(answer));
          // The part has to arrive before the cut, else an RST overtakes it and there is nothing to cut.
          visitor.once("data", () => cut(socket, how));
        };
        visitor.write("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        const { text, end } = await drain(visitor);
        assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*part/);
        assert.equal(end, complete ? "FIN" : "RST");
        assert.equal(text.endsWith("\r\n0\r\n\r\n"), complete);
      });
    }
  }

  for (const [framing, upload] of Object.entries(UPLOADS)) {
    for (const how of ["FIN", "RST"] as const) {
      test(`the visitor's ${how}, ${framing}: RST for the service`, async () => {
        const visitor = net.connect(port, "127.0.0.1");
        visitor.on("error", () => undefined);
        const seen = new Promise<{ text: string; end: "FIN" | "RST" }>((resolve) => {
          act = (socket) => {
            socket.once("data", () => cut(visitor, how));
            resolve(drain(socket));
          };
        });
        visitor.write(upload);
        const { text, end } = await seen;
        assert.equal(end, "RST");
        assert.ok(!text.endsWith("0\r\n\r\n"));
        visitor.destroy();
      });
    }
  }

  test("an early answer is read whole although the visitor goes on sending", async () => {
    const body = "x".repeat(100_000);
    act = (socket) => {
      socket.once("data", () => {
        socket.end(`HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      });
    };
    const visitor = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    visitor.write("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 50000000\r\n\r\n");
    const part = Buffer.alloc(64 * 1024, "u");
    let parts = 0;
    const write = () => {
      while (parts < 100) {
        parts++;
        if (!visitor.write(part)) return;
      }
      visitor.end();
    };
    visitor.on("drain", write);
    write();
    const { text, end } = await drain(visitor);
    assert.equal(end, "FIN");
    assert.ok(text.endsWith(body));
  });
});
