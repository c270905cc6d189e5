import type { Mode } from "./message-model.ts";

export type Tab = "messages" | "headers" | "overview";
export const TABS: readonly Tab[] = ["messages", "headers", "overview"];
export const MODES: readonly Mode[] = ["tree", "json", "text", "hex"];

/** What the page keeps of itself when it is hidden or reloaded: what was looked at, never traffic. */
export interface Memory {
  readonly filter: string;
  readonly exchange: number | undefined;
  readonly tab: Tab;
  readonly split: number;
  readonly mode: Mode;
}

/** Anything may have been kept, by any version: what does not fit is replaced by the default. */
export function readMemory(value: unknown): Memory {
  const kept: Readonly<Record<string, unknown>> = typeof value === "object" && value !== null ? { ...value } : {};
  const { filter, exchange, tab, split, mode } = kept;
  return {
    filter: typeof filter === "string" ? filter : "",
    exchange: typeof exchange === "number" ? exchange : undefined,
    tab: TABS.find((name) => name === tab) ?? "messages",
    split: typeof split === "number" && split >= 0.15 && split <= 0.85 ? split : 0.4,
    mode: MODES.find((name) => name === mode) ?? "tree",
  };
}
