import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { routes } from "./routes.ts";
import type { Route } from "./routes.ts";
import type { RunningService, ServiceOptions } from "../service.ts";

function handle(request: IncomingMessage, response: ServerResponse, continueAsked: boolean): void {
  const url = new URL(request.url ?? "/", "http://service");
  const name = url.pathname.split("/")[1] ?? "";
  const route: Route = Object.hasOwn(routes, name) ? (routes[name] ?? missing) : missing;
  // A visitor who left makes every write fail; there is nobody to tell.
  response.on("error", () => undefined);
  request.on("error", () => undefined);
  route({ request, response, url, continueAsked });
}

const missing: Route = ({ response, url }) => {
  response.writeHead(404, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: `Nothing at ${url.pathname}` }));
};

/** Serves plain HTTP/1.1 on loopback; `routes.ts` lists what there is. */
export async function startHttp(options: ServiceOptions = {}): Promise<RunningService> {
  const server = createServer({ requestTimeout: 0 }, (request, response) => handle(request, response, false));
  // With this listener Node does not send "100 Continue" by itself: a route may refuse first.
  server.on("checkContinue", (request, response) => handle(request, response, true));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
