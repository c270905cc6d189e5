/** The files of the page, exactly these: the request's path is a key of this table and never a path of the disk. */
export const PAGE_FILES: ReadonlyMap<string, { readonly file: string; readonly mediaType: string }> = new Map([
  ["/main.js", { file: "main.js", mediaType: "text/javascript; charset=utf-8" }],
  ["/main.css", { file: "main.css", mediaType: "text/css; charset=utf-8" }],
  ["/codicon.css", { file: "codicon.css", mediaType: "text/css; charset=utf-8" }],
  ["/codicon.ttf", { file: "codicon.ttf", mediaType: "font/ttf" }],
]);

/** Where the page opens its WebSocket. */
export const SOCKET_PATH = "/rpc";

/** Sent with everything. No CORS header anywhere: no other origin may read anything here. */
export const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "x-frame-options": "DENY",
  "cache-control": "no-store",
} as const;

/** @param host as in the request's `Host` field, already checked. */
export function pageSecurityPolicy(host: string, nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    // 'self' for the icon components, which load the codicon style sheet again into their own shadow roots.
    `style-src 'self' 'nonce-${nonce}'`,
    "font-src 'self'",
    "img-src data:",
    `connect-src ws://${host}${SOCKET_PATH}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Everything that is not the page: nothing may load anything, and nobody may frame it. */
export const PLAIN_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export function indexPage(nonce: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Portlight Inspector</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="codicon.css" nonce="${nonce}" />
    <link rel="stylesheet" href="main.css" nonce="${nonce}" />
  </head>
  <body data-host="browser" data-placement="browser">
    <script nonce="${nonce}" src="main.js"></script>
  </body>
</html>
`;
}

/**
 * Goes on to the page by a navigation of our own. A redirect would not do where the link was followed from another
 * site: the whole chain then counts as begun there, and the cookie, which is SameSite=Strict, would not be sent.
 */
export const FORWARD_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta http-equiv="refresh" content="0; url=/" />
    <title>Portlight Inspector</title>
  </head>
  <body><a href="/">Portlight Inspector</a></body>
</html>
`;
