import http from "node:http";
import type { AddressInfo } from "node:net";
import { commands, extensions, type Extension } from "vscode";

export interface SharedPort {
  readonly port: number;
  readonly url: string;
  readonly name: string;
  readonly alternativeUrls: readonly string[];
}

export function portlight(): Extension<unknown> {
  const extension = extensions.getExtension("portlight.portlight");
  if (extension === undefined) throw new Error("The extension portlight.portlight is not installed.");
  return extension;
}

export async function share(argument: unknown): Promise<SharedPort> {
  const shared = await commands.executeCommand<SharedPort | undefined>("portlight.sharePort", argument);
  if (shared === undefined) throw new Error(`Nothing was shared for ${JSON.stringify(argument)}.`);
  return shared;
}

export interface Service {
  readonly port: number;
  readonly seen: readonly string[];
  close(): Promise<void>;
}

/** A service of the user, on loopback. */
export async function startService(text: string): Promise<Service> {
  const seen: string[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request.url ?? "");
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port: (server.address() as AddressInfo).port, seen, close };
}
