import type { Failure, Fields, Stream, StreamEvents } from "../../wire/stream.ts";

export function fields(text: string): Fields {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      const at = line.indexOf(":", 1);
      return { name: line.slice(0, at).trim(), value: line.slice(at + 1).trim() };
    });
}

export function show(head: Fields): string {
  return head.map((field) => `${field.name}=${field.value}`).join(" ");
}

const nobody: StreamEvents = {
  headReceived() {},
  dataReceived() {},
  trailersReceived() {},
  resetReceived() {},
  dataSent() {},
};

/**
 * A stream that writes what it is told into a transcript, one line a call, and sends nothing by itself: a test calls
 * `events` for what the peer does and `events.dataSent` for what the transport took.
 */
export class RecordingStream implements Stream {
  events: StreamEvents = nobody;
  readonly #name: string;
  readonly #log: string[];

  constructor(name: string, log: string[]) {
    this.#name = name;
    this.#log = log;
  }

  sendHead(head: Fields, end: boolean): void {
    this.#log.push(`${this.#name} < head ${show(head)}${end ? " END" : ""}`);
  }

  sendData(bytes: Uint8Array, end: boolean): void {
    this.#log.push(`${this.#name} < data ${Buffer.from(bytes).toString("latin1")}${end ? " END" : ""}`);
  }

  sendTrailers(trailers: Fields): void {
    this.#log.push(`${this.#name} < trailers ${show(trailers)}`);
  }

  reset(failure: Failure): void {
    this.#log.push(
      `${this.#name} < reset ${failure.by} ${failure.code}${failure.http2Code === undefined ? "" : ` ${failure.http2Code}`}`,
    );
  }

  consume(bytes: number): void {
    this.#log.push(`${this.#name} < consume ${bytes}`);
  }
}
