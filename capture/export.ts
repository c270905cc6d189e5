import type { Exchange } from "./exchange.ts";
import { harOf } from "./har.ts";
import type { MessageReader } from "./reader.ts";
import { recordOf } from "./record.ts";

/** Characters of an export: it goes over JSON-RPC in one piece, and into an editor. */
const MAX_EXPORT = 64 * 1024 * 1024;

/** Text of whole exchanges. `truncated`: those at the end are left out. */
export async function exportExchanges(
  exchanges: readonly Exchange[],
  format: "jsonl" | "har",
  showSecrets: boolean,
  reader: MessageReader,
): Promise<{ readonly text: string; readonly truncated: boolean }> {
  const parts: string[] = [];
  let total = 0;
  let truncated = false;
  for (const exchange of exchanges) {
    const part = JSON.stringify(
      format === "jsonl" ? await recordOf(exchange, reader, showSecrets) : await harOf(exchange, reader, showSecrets),
    );
    total += part.length + 1;
    if (total > MAX_EXPORT) {
      truncated = true;
      break;
    }
    parts.push(part);
  }
  if (format === "jsonl") return { text: parts.map((part) => `${part}\n`).join(""), truncated };
  const head = '{"log":{"version":"1.2","creator":{"name":"Portlight","version":"1"},"entries":[\n';
  return { text: `${head}${parts.join(",\n")}\n]}}\n`, truncated };
}
