import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  Disposable,
  type DataCallback,
  type Message,
  type MessageConnection,
} from "vscode-jsonrpc/browser";

/** What `acquireVsCodeApi()` returns, as far as the page uses it. */
export interface VscodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

class ChannelReader extends AbstractMessageReader {
  #callback: DataCallback | undefined;

  override listen(callback: DataCallback): Disposable {
    this.#callback = callback;
    return Disposable.create(() => {
      this.#callback = undefined;
    });
  }

  /** Ignores what is no JSON-RPC message: other scripts may post to the window too. */
  deliver(value: unknown): void {
    if (typeof value === "object" && value !== null && "jsonrpc" in value && value.jsonrpc === "2.0")
      this.#callback?.(value as Message);
  }

  close(): void {
    this.fireClose();
  }
}

class ChannelWriter extends AbstractMessageWriter {
  readonly #send: (message: Message) => void;

  constructor(send: (message: Message) => void) {
    super();
    this.#send = send;
  }

  write(message: Message): Promise<void> {
    try {
      this.#send(message);
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  end(): void {}
}

/** JSON-RPC messages as objects through `postMessage`. */
export function connectVscode(api: VscodeApi): MessageConnection {
  const reader = new ChannelReader();
  window.addEventListener("message", (event: MessageEvent<unknown>) => {
    reader.deliver(event.data);
  });
  return createMessageConnection(
    reader,
    new ChannelWriter((message) => {
      api.postMessage(message);
    }),
  );
}

export interface SocketEvents {
  opened(connection: MessageConnection): void;
  /** The socket could not be opened, or is gone. Called once. */
  closed(): void;
}

/** One JSON-RPC message per text frame. */
export function connectSocket(url: string, events: SocketEvents): void {
  const socket = new WebSocket(url);
  const reader = new ChannelReader();
  const connection = createMessageConnection(
    reader,
    new ChannelWriter((message) => {
      socket.send(JSON.stringify(message));
    }),
  );
  socket.addEventListener("open", () => {
    events.opened(connection);
  });
  socket.addEventListener("message", (event: MessageEvent<unknown>) => {
    if (typeof event.data === "string") reader.deliver(JSON.parse(event.data));
  });
  socket.addEventListener("close", () => {
    reader.close();
    connection.dispose();
    events.closed();
  });
}
