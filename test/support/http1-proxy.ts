import { once } from "node:events";
import type * as http from "node:http";
import * as net from "node:net";
import { Join } from "../../tunnel/join.ts";
import { attachSocket } from "../../tunnel/socket.ts";
import { Http1Client } from "../../wire/http1/client.ts";
import { Http1Server } from "../../wire/http1/server.ts";
import type { Failure, Fields, Stream, StreamEvents } from "../../wire/stream.ts";
import { acceptKey, randomKey } from "./http1.ts";

/**
 * The two HTTP/1 codecs with a `Join` between them, for real peers on both sides:
 * `visitor (node:http, curl, ws) -> Http1Server -> Join -> Http1Client -> service (node:http, ws)`.
 */
export class Http1Proxy {
  readonly failures: Failure[] = [];
  readonly listener: net.Server;
  /** How many connections to the service were made. */
  dials = 0;
  readonly #sockets = new Set<net.Socket>();
  readonly #idle: Http1Client[] = [];
  readonly #servicePort: number;

  constructor(servicePort: number) {
    this.#servicePort = servicePort;
    this.listener = net.createServer({ allowHalfOpen: true }, (socket) => this.#visit(socket));
  }

  #visit(socket: net.Socket): void {
    this.#keep(socket);
    attachSocket(
      socket,
      (transport) =>
        new Http1Server({
          transport,
          scheme: "http",
          acceptKey,
          peer: "visitor",
          party: "relay",
          events: {
            streamOpened: (visitor, fields, end) => this.#forward(visitor, fields, end),
            capacityChanged() {},
            draining() {},
            ended() {},
          },
        }),
    );
  }

  #forward(visitor: Stream, fields: Fields, end: boolean): StreamEvents {
    const join = new Join(visitor, fields, end, {
      party: "agent",
      onClosed: (failure) => {
        if (failure !== undefined) this.failures.push(failure);
      },
    });
    const start = (client: Http1Client) => {
      join.connect((events) => client.open(fields, end, events));
    };
    const idle = this.#idle.find((client) => client.capacity > 0);
    if (idle !== undefined) start(idle);
    else this.#dial(start);
    return join.visitorEvents;
  }

  #dial(start: (client: Http1Client) => void): void {
    this.dials++;
    const socket = net.connect({ port: this.#servicePort, host: "127.0.0.1", allowHalfOpen: true });
    this.#keep(socket);
    socket.once("connect", () => {
      const client = attachSocket(
        socket,
        (transport) =>
          new Http1Client({
            transport,
            acceptKey,
            randomKey,
            peer: "service",
            party: "agent",
            events: {
              streamOpened: () => {
                throw new Error("A client opens no streams");
              },
              capacityChanged() {},
              draining() {},
              ended() {},
            },
          }),
      );
      this.#idle.push(client);
      start(client);
    });
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async listen(): Promise<number> {
    this.listener.listen(0, "127.0.0.1");
    await once(this.listener, "listening");
    return portOf(this.listener);
  }

  close(): void {
    this.listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

export function portOf(server: net.Server | http.Server): number {
  return (server.address() as net.AddressInfo).port;
}
