/**
 * The inspector page. The HTML that serves it has to be:
 *
 *     <!doctype html>
 *     <html lang="en">
 *       <head>
 *         <meta charset="utf-8">
 *         <meta name="viewport" content="width=device-width, initial-scale=1">
 *         <meta http-equiv="Content-Security-Policy" content="default-src 'none';
 *           font-src SOURCE; style-src SOURCE; script-src 'nonce-NONCE'">
 *         <title>Portlight Inspector</title>
 *         <link rel="stylesheet" href="codicon.css">
 *         <link rel="stylesheet" href="main.css">
 *       </head>
 *       <body data-host="vscode" data-placement="panel">
 *         <script nonce="NONCE" src="main.js"></script>
 *       </body>
 *     </html>
 *
 * `data-host`: `vscode` (JSON-RPC messages as objects through `postMessage`; SOURCE is `webview.cspSource`) or `browser`
 * (JSON-RPC over a WebSocket at `rpc` relative to the page, with the page's query; SOURCE is `'self'`, and the policy
 * needs `connect-src 'self'`). `data-placement`: `panel`, `editor` or `browser`. No inline style or script is used, no
 * image is loaded, and in VS Code nothing is connected to.
 */
import "./styles/main.css";
import { InspectorApp } from "./app.ts";
import { Host } from "./host.ts";
import type { VscodeApi } from "./rpc.ts";
import { Store } from "./store.ts";

declare function acquireVsCodeApi(): VscodeApi;

const host = new Host(document.body.dataset["host"] === "vscode" ? acquireVsCodeApi() : undefined);
const app = new InspectorApp();
app.store = new Store(host);
document.body.append(app);
host.start();
