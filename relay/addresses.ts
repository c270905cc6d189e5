import { networkInterfaces } from "node:os";
import type { NetworkInterfaceInfo } from "node:os";

/** Bridges and tunnels of containers, virtual machines and VPNs: other machines of the LAN do not reach us there. */
const VIRTUAL = /^(docker|br-|veth|virbr|vmnet|vboxnet|vEthernet|utun|tun|tap|wg|zt|tailscale|cni|flannel|lxc|podman)/i;

function rank(name: string, address: string): number {
  let points = 0;
  if (VIRTUAL.test(name)) points += 10;
  if (address.startsWith("192.168.")) return points;
  if (address.startsWith("10.")) return points + 1;
  if (/^172\.(1[6-9]|2[0-9]|3[01])\./.test(address)) return points + 2;
  return points + 3;
}

/** The IPv4 address under which other machines of the local network most likely reach this one. */
export function lanAddress(
  interfaces: NodeJS.Dict<readonly NetworkInterfaceInfo[]> = networkInterfaces(),
): string | undefined {
  let best: string | undefined;
  let bestRank = Infinity;
  for (const [name, addresses] of Object.entries(interfaces)) {
    for (const { address, family, internal } of addresses ?? []) {
      // 169.254: nobody gave this interface an address.
      if (internal || family !== "IPv4" || address.startsWith("169.254.")) continue;
      const points = rank(name, address);
      if (points < bestRank) {
        best = address;
        bestRank = points;
      }
    }
  }
  return best;
}

/** For `X-Forwarded-For`: an IPv4 visitor on a dual-stack socket is an IPv4 visitor. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "unknown";
  return /^::ffff:[0-9.]+$/i.test(address) ? address.slice(7) : address;
}

/** Who is counted as one: an IPv4 address, or the /64 of an IPv6 address, of which one host has as many as it likes. */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(":")) return plain;
  const [left = "", right] = plain.split("%", 1)[0]?.split("::") ?? [];
  const groups = left === "" ? [] : left.split(":");
  const behind = right === undefined || right === "" ? [] : right.split(":");
  // An IPv4 address at the end stands for two groups; it is never among the first four that count.
  const width = behind.length + (behind.at(-1)?.includes(".") === true ? 1 : 0);
  const all =
    right === undefined
      ? groups
      : [...groups, ...Array<string>(Math.max(0, 8 - groups.length - width)).fill("0"), ...behind];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, "").toLowerCase())
    .join(":")}::/64`;
}

/** An address as it stands in a URL. */
export function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** An address that means "all" is no address to dial. */
export function dialable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
