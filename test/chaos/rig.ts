import { startPath } from "../support/path.ts";
import { until } from "../support/time.ts";
import { startBystander } from "./bystander.ts";
import type { Bystander } from "./bystander.ts";
import { startChaosProxy } from "./proxy.ts";
import type { ChaosProxy } from "./proxy.ts";
import type { ChaosService } from "./service.ts";

/** Between which two the network is bad. */
export type Link = "visitor-relay" | "agent-relay" | "agent-service";

/** Where the relay and the agent of a cell are, and who else uses them. */
export interface Rig {
  /** Where the visitor connects. */
  readonly address: string;
  /** Uses what is not broken: its exchanges must not notice. */
  readonly bystander: Bystander;
  /** Ends everything; tells what was left open. */
  close(): Promise<readonly string[]>;
}

export interface ProxiedRig extends Rig {
  readonly proxy: ChaosProxy;
}

/**
 * Relay and agent in this process, with a proxy in the named link and none in the others. The bystander takes the same
 * way except for the bad link: another service in the same tunnel, another visitor, or another tunnel to the same relay.
 */
export async function startRig(link: Link, service: ChaosService): Promise<ProxiedRig> {
  const path = await startPath({ capture: false });
  const closers: (() => Promise<void>)[] = [];
  const proxied = async (port: number): Promise<ChaosProxy> => {
    const proxy = await startChaosProxy(port);
    closers.push(() => proxy.close());
    return proxy;
  };
  const tunnelPort = Number(new URL(path.relay.tunnelUrl).port);
  const tunnel = link === "agent-relay" ? await proxied(tunnelPort) : undefined;
  const toService = link === "agent-service" ? await proxied(service.port) : undefined;
  const relay = { url: `tcp://127.0.0.1:${tunnel?.port ?? tunnelPort}` };
  const { address } = await path.share(toService?.port ?? service.port, { relay });
  const toVisitor = link === "visitor-relay" ? await proxied(Number(new URL(`http://${address}`).port)) : undefined;
  // To the relay directly: where the tunnel is proxied, that is another one.
  const bystander = await startBystander(async (port) => (await path.share(port)).address);
  const proxy = tunnel ?? toService ?? toVisitor;
  if (proxy === undefined) throw new Error(`No proxy in ${link}`);
  return {
    address: toVisitor === undefined ? address : `127.0.0.1:${toVisitor.port}`,
    bystander,
    proxy,
    async close() {
      const left: string[] = [];
      proxy.heal();
      await bystander.stop();
      const open = (): number => path.agent.shares.reduce((sum, share) => sum + share.openExchanges, 0);
      await until(5000, "the agent has no exchange open", () => open() === 0).catch(() => {
        left.push(`${open()} exchanges in the agent`);
      });
      // A relay waits for its exchanges when it is told to stop: with none it does not.
      const began = performance.now();
      await path.relay.close(8000);
      if (performance.now() - began > 4000) left.push("exchanges in the relay");
      await path.close();
      await until(5000, "no connection is left", () => proxy.open === 0).catch(() => {
        left.push(`${proxy.open} connections in ${link}`);
      });
      for (const close of closers) await close();
      await bystander.close();
      return left;
    },
  };
}
