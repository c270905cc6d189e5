import type { Failure, Fields, Stream, StreamEvents } from "../../wire/stream.ts";
import { promise } from "./target.ts";

/** Listens to one stream, and holds it to the order that `StreamEvents` promises. */
export class Witness implements StreamEvents {
  readonly name: string;
  readonly lines: string[];
  stream: Stream | undefined;
  /** What is received is taken at once; else nothing is. */
  consume = false;
  /** The raw octets of an accepted WebSocket go back where they came from. */
  echo = false;

  #headDue: boolean;
  #given = 0;
  #sent = 0;
  #localEnded = false;
  #remoteEnded: boolean;
  /** Reset from either side: nothing more may be reported. */
  #over = false;

  /** @param headDue it is the answer that comes: its head first. @param ended the direction ended with its head. */
  constructor(name: string, lines: string[], headDue: boolean, ended: boolean) {
    this.name = name;
    this.lines = lines;
    this.#headDue = headDue;
    this.#remoteEnded = ended;
  }

  headReceived(fields: Fields, end: boolean): void {
    this.#expect(this.#headDue, "a head where none can be");
    const interim = fields[0]?.value.startsWith("1") === true;
    promise(!(interim && end), `${this.name}: an interim head that ends`);
    if (!interim) this.#headDue = false;
    this.#remoteEnded = end;
    this.lines.push(`head ${this.name} ${showFields(fields)}${end ? " END" : ""}`);
  }

  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.#expect(!this.#headDue, "data before the head");
    promise(bytes.length > 0 || end, `${this.name}: empty data that does not end`);
    this.#remoteEnded = end;
    const text = Buffer.from(bytes).toString("latin1");
    const last = this.lines.at(-1);
    const own = `data ${this.name} `;
    if (text !== "") {
      if (last?.startsWith(own) === true) this.lines[this.lines.length - 1] = last + text;
      else this.lines.push(own + text);
    }
    if (end) this.lines.push(`end ${this.name}`);
    if (this.consume) this.stream?.consume(bytes.length);
    if (this.echo && bytes.length > 0) this.send(bytes, false);
  }

  trailersReceived(fields: Fields): void {
    this.#expect(!this.#headDue, "trailers before the head");
    this.#remoteEnded = true;
    this.lines.push(`trailers ${this.name} ${showFields(fields)}`);
  }

  resetReceived(failure: Failure): void {
    promise(!this.#over, `${this.name}: a reset after a reset`);
    promise(failure.message.length < 500 && failure.code !== "internal", `${this.name}: ${failure.message}`);
    this.#over = true;
    this.lines.push(`reset ${this.name} ${failure.by} ${failure.code}`);
  }

  dataSent(bytes: number): void {
    promise(!this.#over, `${this.name}: data sent after a reset`);
    this.#sent += bytes;
    promise(this.#sent <= this.#given, `${this.name}: more sent than given`);
  }

  head(fields: Fields, end: boolean): void {
    this.#localEnded ||= end;
    this.stream?.sendHead(fields, end);
  }

  send(bytes: Uint8Array, end: boolean): void {
    if (this.#over || this.#localEnded) return;
    this.#given += bytes.length;
    this.#localEnded = end;
    this.stream?.sendData(bytes, end);
  }

  sendTrailers(fields: Fields): void {
    this.#localEnded = true;
    this.stream?.sendTrailers(fields);
  }

  /** Resets it here; what would still be reported breaks a promise. */
  reset(failure: Failure): void {
    this.#over = true;
    this.stream?.reset(failure);
  }

  /** The connection is gone: it must have been told, unless both directions ended in order. */
  finish(): void {
    promise(this.#over || (this.#remoteEnded && this.#localEnded), `${this.name}: never told of its end`);
  }

  #expect(holds: boolean, what: string): void {
    promise(holds, `${this.name}: ${what}`);
    promise(!this.#over, `${this.name}: an event after a reset`);
    promise(!this.#remoteEnded, `${this.name}: an event after the end`);
  }
}

export function showFields(fields: Fields): string {
  return fields.map(({ name, value }) => `${name}=${value}`).join("|");
}
