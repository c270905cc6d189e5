import { commands, env, l10n, languages, Position, Range, Uri, window, workspace } from "vscode";
import type { HostState } from "../webview/protocol.ts";
import { fileInside, safeFileName } from "./files.ts";
import type { HostHandlers } from "./inspector-session.ts";

/** An editor with more text than this becomes slow; what is larger can be saved. */
const UNTITLED_CHARACTERS = 20 * 1024 * 1024;
/** The largest capture a person can choose (1 GiB) does not fit a string; this is far above one body that was kept. */
const SAVE_BASE64_CHARACTERS = 256 * 1024 * 1024;

/** What only the editor can do for the page. The page shows what strangers sent: everything it asks is checked. */
export function hostHandlers(state: () => Promise<HostState>, openInEditor: () => void): HostHandlers {
  return {
    "host/state": () => state(),
    "host/copy": async (params) => {
      await env.clipboard.writeText(text(params, "text"));
      return null;
    },
    "host/openSource": async (params) => {
      await openSource(text(params, "file"), number(params, "line"));
      return null;
    },
    "host/openUntitled": async (params) => {
      await openUntitled(text(params, "text"), text(params, "language"));
      return null;
    },
    "host/save": async (params) => {
      await save(text(params, "name"), text(params, "base64"));
      return null;
    },
    "host/sharePort": async () => {
      await commands.executeCommand("portlight.sharePort");
      return null;
    },
    "host/openInEditor": () => {
      openInEditor();
      return Promise.resolve(null);
    },
  };
}

/** Opens a file of the workspace, and only that: links that lead out of it are not followed. */
async function openSource(file: string, line: number): Promise<void> {
  if (file.startsWith("bundled:"))
    throw new Error(
      l10n.t("{0} comes with Portlight and is no file of this workspace.", file.slice("bundled:".length)),
    );
  for (const { uri } of workspace.workspaceFolders ?? []) {
    const found = await fileInside(uri.fsPath, file);
    if (found === undefined) continue;
    const position = new Position(Math.max(0, line - 1), 0);
    await window.showTextDocument(Uri.file(found), { selection: new Range(position, position), preview: true });
    return;
  }
  throw new Error(l10n.t("{0} is not in this workspace any more.", file));
}

async function openUntitled(content: string, language: string): Promise<void> {
  if (content.length > UNTITLED_CHARACTERS)
    throw new Error(l10n.t("This is too large for an editor. Save it instead."));
  const known = (await languages.getLanguages()).includes(language) ? language : "plaintext";
  const document = await workspace.openTextDocument({ content, language: known });
  await window.showTextDocument(document, { preview: false });
}

async function save(name: string, base64: string): Promise<void> {
  if (base64.length > SAVE_BASE64_CHARACTERS) throw new Error(l10n.t("This is too large to be saved from here."));
  const folder = workspace.workspaceFolders?.[0]?.uri;
  const file = safeFileName(name);
  const uri = await window.showSaveDialog(folder === undefined ? {} : { defaultUri: Uri.joinPath(folder, file) });
  if (uri !== undefined) await workspace.fs.writeFile(uri, new Uint8Array(Buffer.from(base64, "base64")));
}

function text(params: unknown, name: string): string {
  const value = field(params, name);
  if (typeof value !== "string") throw new Error(`The request needs "${name}", a string.`);
  return value;
}

function number(params: unknown, name: string): number {
  const value = field(params, name);
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw new Error(`The request needs "${name}", a whole number.`);
  return value;
}

function field(params: unknown, name: string): unknown {
  return typeof params === "object" && params !== null
    ? (params as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
