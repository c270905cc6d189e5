import { html, type TemplateResult } from "lit";
import { visibleLines } from "./visible.ts";

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false)\b|\b(null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

/** JSON text with its tokens coloured. The text is ours (`JSON.stringify`), its strings are not: they stay text. */
export function jsonTokens(text: string): TemplateResult {
  const parts: (string | TemplateResult)[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(visibleLines(text.slice(end, match.index)));
    const [whole, quoted, colon, boolean, none] = match;
    if (quoted !== undefined)
      parts.push(
        html`<span class=${colon === undefined ? "token-string" : "token-name"}>${visibleLines(quoted)}</span
          >${colon ?? ""}`,
      );
    else
      parts.push(
        html`<span class="token-${boolean !== undefined ? "boolean" : none !== undefined ? "null" : "number"}"
          >${whole}</span
        >`,
      );
    end = match.index + whole.length;
  }
  parts.push(visibleLines(text.slice(end)));
  return html`${parts}`;
}
