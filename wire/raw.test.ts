import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, test } from "node:test";
import { NotingTransport, Transcript } from "../test/support/http1.ts";
import { attachSocket } from "../tunnel/socket.ts";
import { RawConnection } from "./raw.ts";
import type { StreamEvents } from "./stream.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

class Rig {
  readonly log: string[] = [];
  readonly transport = new NotingTransport(this.log);
  readonly transcript = new Transcript(this.log);
  readonly raw = new RawConnection({
    transport: this.transport,
    events: this.transcript,
    peer: "service",
    party: "agent",
  });
}

describe("a TCP connection as a stream", () => {
  test("the visitor's end first", () => {
    const { raw, transport, log } = new Rig();
    raw.sendHead();
    raw.sendData(bytes("ask"), true);
    raw.sendData(bytes("late"), false);
    raw.receive(bytes("answer"));
    raw.receiveEnd();
    raw.transportClosed();
    assert.equal(transport.written, "ask");
    assert.deepEqual(log, ["FIN", "data answer", "END"]);
  });

  test("the service's end first: we may still send", () => {
    const { raw, transport, transcript, log } = new Rig();
    raw.receive(bytes("hello"));
    raw.receiveEnd();
    raw.sendData(bytes("more"), false);
    raw.sendTrailers();
    raw.transportClosed();
    assert.equal(transport.written, "more");
    assert.equal(transcript.sent, 4);
    assert.deepEqual(log, ["data hello", "END", "FIN"]);
  });

  for (const [name, act] of [
    ["nothing passed", () => undefined],
    ["data passed", (raw: RawConnection) => raw.receive(bytes("x"))],
    ["only the service ended", (raw: RawConnection) => raw.receiveEnd()],
    ["only we ended", (raw: RawConnection) => raw.sendData(bytes("x"), true)],
  ] as const) {
    test(`closed when ${name}: a reset`, () => {
      const { raw, log } = new Rig();
      act(raw);
      raw.transportClosed();
      assert.equal(log.at(-1), "reset service closed");
    });
  }

  test("reset destroys, and nothing more is reported", () => {
    const { raw, log } = new Rig();
    raw.reset({ by: "visitor", code: "cancelled", message: "x" });
    raw.receive(bytes("x"));
    raw.receiveEnd();
    raw.sendData(bytes("x"), true);
    raw.transportClosed();
    assert.deepEqual(log, ["destroy"]);
  });

  test("while the transport is blocked, data and the end wait", () => {
    const { raw, transport, transcript, log } = new Rig();
    transport.outbox.blocked = true;
    raw.sendData(bytes("abc"), false);
    raw.sendData(bytes("de"), true);
    assert.equal(transport.written, "");
    assert.deepEqual(log, []);
    transport.outbox.blocked = false;
    raw.drained();
    assert.equal(transport.written, "abcde");
    assert.equal(transcript.sent, 5);
    assert.deepEqual(log, ["FIN"]);
  });

  test("an end alone does not wait for a blocked transport's next drain", () => {
    const { raw, transport, log } = new Rig();
    transport.outbox.blocked = true;
    raw.sendData(bytes(""), true);
    assert.deepEqual(log, ["FIN"]);
  });

  test("reading pauses above 64 KiB not consumed, resumes below half", () => {
    const { raw, log } = new Rig();
    raw.receive(new Uint8Array(65_536));
    assert.ok(!log.includes("pause"));
    raw.receive(bytes("x"));
    assert.ok(log.includes("pause"));
    raw.consume(32_769);
    assert.ok(!log.includes("resume"));
    raw.consume(1);
    assert.ok(log.includes("resume"));
  });
});

/** A real TCP server whose connections `serve` handles, and a `RawConnection` to it. */
async function dial(serve: (socket: Socket) => void): Promise<{ raw: RawConnection; done: Promise<string[]> }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const log: string[] = [];
  const done = new Promise<string[]>((resolve) => {
    socket.on("close", () => {
      server.close();
      resolve(log);
    });
  });
  const raw = attachSocket(socket, (transport) => {
    const transcript = new Transcript(log);
    const events: StreamEvents = {
      headReceived: () => undefined,
      trailersReceived: () => undefined,
      dataReceived: (data, end) => {
        transcript.dataReceived(data, end);
        raw.consume(data.length);
      },
      resetReceived: (failure) => transcript.resetReceived(failure),
      dataSent: () => undefined,
    };
    return new RawConnection({ transport, events, peer: "service", party: "agent" });
  });
  return { raw, done };
}

describe("over a real socket", () => {
  test("each direction ends by itself", async () => {
    const { raw, done } = await dial((socket) => {
      let heard = "";
      socket.on("data", (data) => (heard += data.toString()));
      socket.on("end", () => socket.end(`heard ${heard}`));
    });
    raw.sendData(bytes("hello"), true);
    assert.deepEqual(await done, ["data heard hello", "END"]);
  });

  test("RST is a reset", async () => {
    const { raw, done } = await dial((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    raw.sendData(bytes("hello"), false);
    assert.deepEqual(await done, ["reset service closed"]);
  });

  test("reset is an RST", async () => {
    const heard: string[] = [];
    let socketClosed: Promise<unknown> = Promise.resolve();
    const { raw, done } = await dial((socket) => {
      socketClosed = once(socket, "close").catch(() => undefined);
      socket.write("x");
      socket.on("data", () => undefined);
      socket.on("end", () => heard.push("end"));
      socket.on("error", (error: NodeJS.ErrnoException) => heard.push(error.code ?? "error"));
    });
    raw.sendData(bytes("hello"), false);
    raw.events = {
      ...raw.events,
      dataReceived: () => raw.reset({ by: "visitor", code: "cancelled", message: "x" }),
    };
    assert.deepEqual(await done, []);
    await socketClosed;
    assert.deepEqual(heard, ["ECONNRESET"]);
  });
});
