import { randomBytes } from "node:crypto";

/** Text in HTML, in an attribute or between tags. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export interface InspectorHtmlOptions {
  readonly placement: "panel" | "editor";
  /** `webview.cspSource`. */
  readonly cspSource: string;
  /** URL of a file of the page, as the webview may load it. */
  readonly url: (file: "main.js" | "main.css" | "codicon.css") => string;
}

/**
 * The page of the inspector. It shows what strangers sent: no inline script, no `connect-src`, `form-action` or frames,
 * so that even injected markup could neither run nor send anything anywhere.
 */
export function inspectorHtml({ placement, cspSource, url }: InspectorHtmlOptions): string {
  const nonce = randomBytes(16).toString("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource} 'nonce-${nonce}'`,
    `font-src ${cspSource}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Portlight Inspector</title>
    <link rel="stylesheet" nonce="${nonce}" href="${escapeHtml(url("codicon.css"))}">
    <link rel="stylesheet" nonce="${nonce}" href="${escapeHtml(url("main.css"))}">
  </head>
  <body data-host="vscode" data-placement="${placement}">
    <script nonce="${nonce}" src="${escapeHtml(url("main.js"))}"></script>
  </body>
</html>
`;
}

/** A page without any script: a heading and paragraphs, all of them text. */
export function plainHtml(title: string, paragraphs: readonly string[]): string {
  return `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'">
    <title>${escapeHtml(title)}</title>
  </head>
  <body>
    <h3>${escapeHtml(title)}</h3>
    ${paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join("\n    ")}
  </body>
</html>
`;
}
