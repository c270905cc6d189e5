import { html, type TemplateResult } from "lit";

/*
 * What passes through a share is written by strangers. Characters that a terminal or a text layout would obey are shown,
 * never obeyed: C0/C1 controls, bidirectional overrides (CVE-2021-42574), zero-width and other format characters, lone
 * surrogates, line and paragraph separators, tags.
 */
const HIDDEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu;

function picture(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}

/** For attributes (titles, labels) and one-line text: every hidden character replaced by its picture or its number. */
export function visibleText(text: string): string {
  return text.replace(HIDDEN, picture);
}

/** For multi-line text: the same, but line feeds and tabs stay. Carriage returns before a line feed are dropped from sight. */
export function visibleLines(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(HIDDEN, (character) => (character === "\n" || character === "\t" ? character : picture(character)));
}

/** One-line text as a template, in which the replaced characters stand out. */
export function visible(text: string): string | TemplateResult {
  // `search` and `replace` begin at 0 whatever `lastIndex` is; `test` would move it, and `matchAll` begin there.
  if (text.search(HIDDEN) < 0) return text;
  const parts: (string | TemplateResult)[] = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    parts.push(text.slice(end, match.index));
    parts.push(html`<span class="hidden-character">${picture(match[0])}</span>`);
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return html`${parts}`;
}
