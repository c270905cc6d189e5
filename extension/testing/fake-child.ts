/** In-memory children for tests. */
import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { createMessageConnection, type MessageConnection } from "vscode-jsonrpc";
import { StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import type { Child, Exit } from "../child.ts";

/** A child whose other end is in this process. */
export class FakeChild implements Child {
  readonly pid: number;
  readonly connection: MessageConnection;
  /** The child's end. */
  readonly inside: MessageConnection;
  readonly exited: Promise<Exit>;
  readonly #ending = new EventEmitter();

  constructor(pid: number, prepare: (inside: MessageConnection) => void) {
    this.pid = pid;
    const toChild = new PassThrough();
    const fromChild = new PassThrough();
    this.connection = connect(fromChild, toChild);
    this.inside = connect(toChild, fromChild);
    prepare(this.inside);
    this.exited = new Promise((resolve) => this.#ending.once("exit", resolve));
    this.connection.listen();
    this.inside.listen();
  }

  kill(): void {
    this.end({ code: null, signal: "SIGKILL" });
  }

  end(exit: Exit): void {
    this.connection.dispose();
    this.inside.dispose();
    this.#ending.emit("exit", exit);
  }
}

function connect(input: PassThrough, output: PassThrough): MessageConnection {
  const connection = createMessageConnection(new StreamMessageReader(input), new StreamMessageWriter(output));
  connection.onError(() => {});
  return connection;
}
