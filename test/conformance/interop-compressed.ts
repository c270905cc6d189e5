import assert from "node:assert/strict";
import { decode, encode } from "./grpc-messages.ts";
import type { BoolValue, StreamingInputCallRequest } from "./grpc-messages.ts";
import { callRaw, serveRaw } from "./grpc-raw.ts";
import type { RawAnswer, RawMessage } from "./grpc-raw.ts";
import { through } from "./lab.ts";
import { judge } from "./suite.ts";
import type { Row, Suite } from "./suite.ts";

/** The sizes of interop-test-descriptions.md. */
const REQUEST_SIZE = 271_828;
const RESPONSE_SIZE = 314_159;
const STREAM_SIZES = [31_415, 92_653] as const;
const INPUT_SIZES = [27_182, 45_904] as const;

const OK = 0;
const INVALID_ARGUMENT = 3;
const UNIMPLEMENTED = 12;

/**
 * The four cases about compression, which neither grpc-go nor grpc-js offers: they need to see, at both ends, whether a
 * message was compressed. Written after interop-test-descriptions.md, both ends on `node:http2`.
 */
export const interopCompressed: Suite = {
  name: "interop-compressed",
  programs: [],
  async run({ lab, say }) {
    const service = await serveRaw(serve);
    const rows: Row[] = [];
    const run = async (where: string, url: string): Promise<void> => {
      const call: Call = (method, messages) => callRaw(url, method, messages, lab.certificate.cert);
      const outcome = await judge(where, new Map(Object.entries(CASES).map(([name, one]) => [name, () => one(call)])));
      rows.push(outcome);
      say(`${where}: ${outcome.passed} passed, ${outcome.failures.length} failed`);
    };
    try {
      await run("direct", `http://127.0.0.1:${service.port}`);
      for (const capture of [true, false]) {
        const suffix = `capture ${capture ? "on" : "off"}`;
        await through(lab.local(service.port, { capture }), ({ url }) => run(`cleartext, ${suffix}`, url));
        await through(lab.remote(service.port, { capture }), ({ url }) => run(`TLS, ${suffix}`, url));
      }
    } finally {
      await service.close();
    }
    return rows;
  },
};

type Call = (method: string, messages: readonly RawMessage[]) => Promise<RawAnswer>;

const CASES: Readonly<Record<string, (call: Call) => Promise<void>>> = {
  async client_compressed_unary(call) {
    const request = (expect: boolean): Buffer =>
      encode("SimpleRequest", {
        expectCompressed: { value: expect },
        responseSize: RESPONSE_SIZE,
        payload: { body: new Uint8Array(REQUEST_SIZE) },
      });
    const ask = (expect: boolean, compressed: boolean): Promise<RawAnswer> =>
      call("UnaryCall", [{ bytes: request(expect), compressed }]);
    // The probe: a server that supports this sees that the message is not what was announced.
    assert.equal((await ask(true, false)).status, INVALID_ARGUMENT);
    for (const compressed of [true, false]) {
      const { status, messages } = await ask(compressed, compressed);
      assert.equal(status, OK);
      assert.deepEqual(sizes("SimpleResponse", messages), [RESPONSE_SIZE]);
    }
  },

  async server_compressed_unary(call) {
    for (const value of [true, false]) {
      const bytes = encode("SimpleRequest", {
        responseCompressed: { value },
        responseSize: RESPONSE_SIZE,
        payload: { body: new Uint8Array(REQUEST_SIZE) },
      });
      const { status, messages } = await call("UnaryCall", [{ bytes, compressed: false }]);
      assert.equal(status, OK);
      assert.deepEqual(flags(messages), [value]);
      assert.deepEqual(sizes("SimpleResponse", messages), [RESPONSE_SIZE]);
    }
  },

  async client_compressed_streaming(call) {
    const message = (size: number, expect: boolean, compressed: boolean): RawMessage => ({
      bytes: encode("StreamingInputCallRequest", {
        expectCompressed: { value: expect },
        payload: { body: new Uint8Array(size) },
      }),
      compressed,
    });
    const [first, second] = INPUT_SIZES;
    assert.equal((await call("StreamingInputCall", [message(first, true, false)])).status, INVALID_ARGUMENT);
    const { status, messages } = await call("StreamingInputCall", [
      message(first, true, true),
      message(second, false, false),
    ]);
    assert.equal(status, OK);
    const [response] = messages.map(({ bytes }) => decode("StreamingInputCallResponse", bytes));
    assert.equal(response?.aggregatedPayloadSize, first + second);
  },

  async server_compressed_streaming(call) {
    const wanted = [true, false];
    const bytes = encode("StreamingOutputCallRequest", {
      responseParameters: STREAM_SIZES.map((size, index) => ({ size, compressed: { value: wanted[index] ?? false } })),
    });
    const { status, messages } = await call("StreamingOutputCall", [{ bytes, compressed: false }]);
    assert.equal(status, OK);
    assert.deepEqual(flags(messages), wanted);
    assert.deepEqual(sizes("StreamingOutputCallResponse", messages), [...STREAM_SIZES]);
  },
};

const flags = (messages: readonly RawMessage[]): boolean[] => messages.map(({ compressed }) => compressed);

function sizes(
  type: "SimpleResponse" | "StreamingOutputCallResponse",
  messages: readonly RawMessage[],
): (number | undefined)[] {
  return messages.map(({ bytes }) => decode(type, bytes).payload?.body?.length);
}

const payload = (size: number | undefined) => ({ payload: { body: new Uint8Array(size ?? 0) } });

/** Whether the message is not what it says of itself; it need not say anything. */
function contradicts(expected: BoolValue | null | undefined, message: RawMessage | undefined): boolean {
  return expected !== null && expected !== undefined && (expected.value ?? false) !== message?.compressed;
}

function serve(method: string, messages: readonly RawMessage[]): RawAnswer {
  switch (method) {
    case "UnaryCall": {
      const [message] = messages;
      const request = decode("SimpleRequest", message?.bytes ?? Buffer.alloc(0));
      if (contradicts(request.expectCompressed, message)) return { status: INVALID_ARGUMENT, messages: [] };
      const bytes = encode("SimpleResponse", payload(request.responseSize));
      return { status: OK, messages: [{ bytes, compressed: request.responseCompressed?.value ?? false }] };
    }
    case "StreamingInputCall": {
      const requests = messages.map(({ bytes }): StreamingInputCallRequest =>
        decode("StreamingInputCallRequest", bytes),
      );
      const wrong = requests.some(({ expectCompressed }, index) => contradicts(expectCompressed, messages[index]));
      if (wrong) return { status: INVALID_ARGUMENT, messages: [] };
      const total = requests.reduce((sum, request) => sum + (request.payload?.body?.length ?? 0), 0);
      const bytes = encode("StreamingInputCallResponse", { aggregatedPayloadSize: total });
      return { status: OK, messages: [{ bytes, compressed: false }] };
    }
    case "StreamingOutputCall": {
      const [message] = messages;
      const request = decode("StreamingOutputCallRequest", message?.bytes ?? Buffer.alloc(0));
      const answers = (request.responseParameters ?? []).map(({ size, compressed }) => ({
        bytes: encode("StreamingOutputCallResponse", payload(size)),
        compressed: compressed?.value ?? false,
      }));
      return { status: OK, messages: answers };
    }
    default:
      return { status: UNIMPLEMENTED, messages: [] };
  }
}
