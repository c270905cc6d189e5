import { AbstractMessageReader, AbstractMessageWriter, createMessageConnection } from "vscode-jsonrpc/node";
import type {
  DataCallback,
  Disposable,
  Message,
  MessageConnection,
  MessageReader,
  MessageWriter,
} from "vscode-jsonrpc/node";
import type { RawData, WebSocket } from "ws";

/**
 * A page that takes none of what it asked for is cut off here: a detail is at most 256 KiB, rows come every 50 ms, so
 * this is minutes of them, or an export of the whole capture.
 */
const QUEUED_BYTES = 256 * 1024 * 1024;

/** WebSocket close codes, RFC 6455 section 7.4.1. */
const UNSUPPORTED_DATA = 1003;
const INVALID_PAYLOAD = 1007;
const TRY_AGAIN_LATER = 1013;

/**
 * JSON-RPC over a WebSocket: each text message is one JSON-RPC message. The connection is not yet listening; it is
 * closed when the WebSocket closes.
 */
export function webSocketConnection(socket: WebSocket): MessageConnection {
  return createMessageConnection(new WebSocketReader(socket), new WebSocketWriter(socket));
}

class WebSocketReader extends AbstractMessageReader implements MessageReader {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on("error", (error) => this.fireError(error));
    socket.on("close", () => this.fireClose());
  }

  listen(callback: DataCallback): Disposable {
    const receive = (data: RawData, binary: boolean): void => {
      if (binary) {
        this.#socket.close(UNSUPPORTED_DATA);
        return;
      }
      const message = parseMessage(data);
      if (message === undefined) this.#socket.close(INVALID_PAYLOAD);
      else callback(message);
    };
    this.#socket.on("message", receive);
    return { dispose: () => this.#socket.off("message", receive) };
  }
}

class WebSocketWriter extends AbstractMessageWriter implements MessageWriter {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on("close", () => this.fireClose());
  }

  /** Never rejects: a page that went away is told by `onClose`, and nobody waits for a notification. */
  write(message: Message): Promise<void> {
    const socket = this.#socket;
    if (socket.readyState === socket.OPEN) {
      socket.send(JSON.stringify(message));
      if (socket.bufferedAmount > QUEUED_BYTES) socket.close(TRY_AGAIN_LATER);
    }
    return Promise.resolve();
  }

  end(): void {
    this.#socket.close();
  }
}

function parseMessage(data: RawData): Message | undefined {
  try {
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
    const parsed: unknown = JSON.parse(bytes.toString("utf8"));
    // Message.is of the library reads `jsonrpc` off anything; an array (a batch) or a string would pass on as garbage.
    const isMessage = typeof parsed === "object" && parsed !== null && "jsonrpc" in parsed && parsed.jsonrpc === "2.0";
    return isMessage ? (parsed as unknown as Message) : undefined;
  } catch {
    return undefined;
  }
}
