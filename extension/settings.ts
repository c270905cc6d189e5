import { workspace, type WorkspaceConfiguration } from "vscode";
import path from "node:path";
import type { AgentConfiguration } from "../agent/protocol.ts";
import { parseRelayUrl, type Reach, type RelayChoice } from "./share-request.ts";

const MEBIBYTE = 1024 * 1024;
/** Bounds of the capture that a person may choose; the same as in the manifest, which the editor only warns about. */
const MEGABYTES = { least: 1, most: 1024, usual: 64 };
const EXCHANGES = { least: 10, most: 100_000, usual: 1000 };

function settings(): WorkspaceConfiguration {
  return workspace.getConfiguration("portlight");
}

/** The relay to use for new shares. Throws, for people, when the setting cannot be used. */
export function relayChoice(): RelayChoice {
  const text = settings().get<string>("relay", "").trim();
  if (text === "") return { kind: "local" };
  const parsed = parseRelayUrl(text);
  if ("problem" in parsed) throw new Error(`The setting portlight.relay cannot be used: ${parsed.problem}`);
  const { url } = parsed;
  const fingerprint = settings().get<string>("relayFingerprint", "").trim();
  return fingerprint === "" ? { kind: "remote", url } : { kind: "remote", url, fingerprint };
}

export function reach(): Reach {
  return settings().get<string>("reach") === "lan" ? "lan" : "loopback";
}

export function keepHost(): boolean {
  return settings().get<boolean>("keepHost", false);
}

/** What the agent is to know; the ports are those that must not be shared. */
export function agentConfiguration(forbiddenPorts: readonly number[]): AgentConfiguration {
  const folders = (workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file");
  return {
    capture: settings().get<boolean>("capture.enabled", true),
    captureBytes: bounded("capture.maxMegabytes", MEGABYTES) * MEBIBYTE,
    captureExchanges: bounded("capture.maxExchanges", EXCHANGES),
    workspaceFolders: folders.map(({ uri }) => uri.fsPath),
    protoRoots: folders.flatMap(({ uri }) =>
      workspace
        .getConfiguration("portlight", uri)
        .get<readonly unknown[]>("protoRoots", [])
        .filter((root): root is string => typeof root === "string" && root.trim() !== "")
        .map((root) => path.resolve(uri.fsPath, root)),
    ),
    forbiddenPorts,
  };
}

function bounded(name: string, { least, most, usual }: { least: number; most: number; usual: number }): number {
  const value = settings().get<unknown>(name);
  if (typeof value !== "number" || !Number.isFinite(value)) return usual;
  return Math.min(Math.max(Math.round(value), least), most);
}
