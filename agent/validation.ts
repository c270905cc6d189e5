import { MAX_LINKS } from "../tunnel/protocol.ts";
import { parseTunnelUrl } from "../tunnel/transports.ts";
import type { ShareOptions } from "./options.ts";
import { ShareError } from "./share-error.ts";

/** A DNS label, as `tunnel/protocol.ts` says. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The addresses of a share's service: literals, never a name that somebody could resolve. The only addresses the agent
 * ever connects to; what a relay sends selects neither host nor port.
 *
 * @returns undefined for a host that is not this machine's own loopback.
 */
export function loopbackAddresses(host: string): readonly string[] | undefined {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  if (name === "localhost") return ["127.0.0.1", "::1"];
  if (name === "::1") return ["::1"];
  const octets = /^127\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(name)?.slice(1);
  return octets?.every((octet) => Number(octet) <= 255) === true ? [name] : undefined;
}

/** @throws ShareError "invalid" */
export function validateShare(options: ShareOptions, forbiddenPorts: readonly number[]): void {
  const { port, host, kind, name, publicPort, relay } = options;
  if (!isPort(port)) throw invalid(`Cannot share port ${String(port)}: a port is a whole number from 1 to 65535.`);
  if (forbiddenPorts.includes(port))
    throw invalid(`Cannot share port ${port}: it is one of Portlight's own. Share the port of your service.`);
  // Options come over IPC as well: the type is no promise there.
  if (!["http", "tcp"].includes(kind)) throw invalid(`Cannot share port ${port}: its kind must be "http" or "tcp".`);
  if (host !== undefined && loopbackAddresses(host) === undefined)
    throw invalid(`Cannot share ${host}:${port}: only localhost, 127.x.y.z and ::1 can be shared.`);
  if (name !== undefined && !NAME.test(name))
    throw invalid(
      `Cannot share port ${port} as "${name.slice(0, 80)}": a name has 1 to 63 letters a-z, digits and hyphens, and begins and ends with none.`,
    );
  if (publicPort !== undefined && !isPort(publicPort))
    throw invalid(`Cannot share port ${port} on public port ${String(publicPort)}: it must be from 1 to 65535.`);
  const { links } = relay;
  if (links !== undefined && !(Number.isInteger(links) && links >= 1 && links <= MAX_LINKS))
    throw invalid(`Cannot share port ${port} over ${String(links)} links: it must be from 1 to ${MAX_LINKS}.`);
  try {
    const address = parseTunnelUrl(relay.url);
    if (address.port === port && loopbackAddresses(address.host) !== undefined)
      throw invalid(`Cannot share port ${port}: the relay listens on it. Share the port of your service.`);
  } catch (error) {
    if (error instanceof ShareError) throw error;
    throw new ShareError("invalid", error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

function invalid(message: string): ShareError {
  return new ShareError("invalid", message);
}
