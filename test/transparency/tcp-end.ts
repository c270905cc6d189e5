import type { Socket } from "node:net";
import { End } from "./end.ts";

/** A TCP connection after its Upgrade. The socket must have been made with `allowHalfOpen`. */
export class TcpEnd extends End {
  readonly #socket: Socket;

  /** @param head octets already read from the socket. */
  constructor(socket: Socket, head: Buffer) {
    super();
    this.#socket = socket;
    this.received(head);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.received(chunk));
    socket.on("end", () => this.over("end"));
    socket.on("error", () => this.over("reset"));
    socket.on("close", () => this.over("reset"));
    socket.resume();
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  finish(bytes?: Uint8Array): void {
    if (bytes === undefined) this.#socket.end();
    else this.#socket.end(bytes);
  }

  reset(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.#socket.write(bytes);
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Reads an HTTP/1 head. Leaves the socket paused; resolves with the head and the octets behind it. */
export async function readHead(socket: Socket): Promise<{ readonly head: string; readonly rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const gone = (): void => reject(new Error(`The connection ended within a head: ${bytes.toString("latin1")}`));
    const read = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", read);
      socket.off("error", gone);
      socket.off("end", gone);
      socket.pause();
      resolve({ head: bytes.subarray(0, end).toString("latin1"), rest: bytes.subarray(end + 4) });
    };
    socket.on("data", read);
    socket.on("error", gone);
    socket.on("end", gone);
  });
}

/** Fields of an HTTP/1 head without its first line, as `name: value` with names in lower case. */
export function headFields(head: string): string[] {
  return head
    .split("\r\n")
    .slice(1)
    .map((line) => `${line.slice(0, line.indexOf(":")).toLowerCase()}: ${line.slice(line.indexOf(":") + 1).trim()}`);
}
