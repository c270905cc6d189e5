import { randomBytes } from "node:crypto";
import qrcode from "qrcode-generator";
import { escapeHtml } from "./html.ts";

/** The quiet zone that ISO/IEC 18004 asks for, in modules. */
const QUIET_ZONE = 4;

/** The dark modules of the QR code of `text` as one SVG path, in module units, with the size of the whole square. */
export function qrPath(text: string): { readonly path: string; readonly size: number } {
  // Type 0: the smallest that fits. M: 15 % of the code may be covered or dirty.
  const code = qrcode(0, "M");
  code.addData(text, "Byte");
  code.make();
  const count = code.getModuleCount();
  let path = "";
  for (let row = 0; row < count; row++)
    for (let column = 0; column < count; column++)
      if (code.isDark(row, column)) path += `M${column + QUIET_ZONE} ${row + QUIET_ZONE}h1v1h-1z`;
  return { path, size: count + 2 * QUIET_ZONE };
}

/** A page with the code: black on white in every theme, because readers want it so. No script. */
export function qrHtml(url: string, note: string): string {
  const nonce = randomBytes(16).toString("base64");
  const { path, size } = qrPath(url);
  return `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'">
    <title>QR code</title>
    <style nonce="${nonce}">
      body { display: flex; flex-direction: column; align-items: center; gap: 12px; padding: 24px; }
      svg { width: min(320px, 80vmin); height: auto; background: #fff; border-radius: 4px; }
      code { overflow-wrap: anywhere; font-size: 1.1em; }
      p { margin: 0; max-width: 46ch; text-align: center; color: var(--vscode-descriptionForeground); }
    </style>
  </head>
  <body>
    <svg viewBox="0 0 ${size} ${size}" role="img" aria-label="QR code of ${escapeHtml(url)}" shape-rendering="crispEdges">
      <path d="${path}" fill="#000"/>
    </svg>
    <code>${escapeHtml(url)}</code>
    <p>${escapeHtml(note)}</p>
  </body>
</html>
`;
}
