import { isUtf8 } from "../wire/utf8.ts";
import { readImage } from "./image.ts";
import { charset, isJsonType, isTextType, mediaType } from "./media.ts";
import type { Decoded } from "./protocol.ts";
import { isSecretParameter, MASK } from "./secrets.ts";

/** Characters of text in one reading: what a page can still show. The rest is to be had as bytes. */
export const MAX_TEXT = 1024 * 1024;
/** Fields of a form. */
const MAX_FORM_FIELDS = 1000;

export interface ContentOptions {
  readonly contentType: string | undefined;
  /** All octets are here. */
  readonly complete: boolean;
  readonly maxText: number;
  readonly showSecrets: boolean;
}

/** Reads a payload by its media type and, where that says nothing, by its looks. */
export function readContent(bytes: Uint8Array, options: ContentOptions): Decoded {
  const type = mediaType(options.contentType);
  const image = readImage(bytes);
  if (image !== undefined && !isTextType(type)) return { view: "image", ...image };
  if (type === "application/x-www-form-urlencoded") return readForm(bytes, options);
  if (isTextType(type) || type.startsWith("multipart/") || type === "") return readText(bytes, options, type);
  if (isUtf8(bytes) && isPlainText(bytes)) return readText(bytes, options, type);
  return { view: "binary", mediaType: type };
}

function readText(bytes: Uint8Array, options: ContentOptions, type: string): Decoded {
  if (!isTextType(type) && !isPlainText(bytes))
    return type === "" ? { view: "binary" } : { view: "binary", mediaType: type };
  const decoded = asText(bytes, options);
  const wantsJson = isJsonType(type);
  if ((wantsJson || type === "" || type === "text/plain") && !decoded.truncated) {
    const json = parseJson(decoded.text);
    if (json !== undefined && (wantsJson || (typeof json === "object" && json !== null))) {
      return { view: "json", json, text: decoded.text, truncated: false };
    }
    if (wantsJson && bytes.length > 0 && type !== "application/x-ndjson") {
      return {
        ...decoded,
        problem: options.complete ? "This is not valid JSON." : "This is the beginning of the JSON only.",
      };
    }
  }
  return decoded;
}

/** As text whatever it is; octets that are no UTF-8 become U+FFFD, and it says so. */
export function asText(
  bytes: Uint8Array,
  options: Pick<ContentOptions, "contentType" | "complete" | "maxText">,
): Extract<Decoded, { view: "text" }> {
  const name = charset(options.contentType);
  const shown = bytes.subarray(0, options.maxText);
  const truncated = shown.length < bytes.length || !options.complete;
  const buffer = Buffer.from(shown.buffer, shown.byteOffset, shown.length);
  if (name !== undefined && /^(iso-8859-1|latin1|windows-1252|us-ascii)$/.test(name)) {
    return { view: "text", text: new TextDecoder("windows-1252").decode(buffer), truncated };
  }
  if (name === "utf-16" || name === "utf-16le") return { view: "text", text: buffer.toString("utf16le"), truncated };
  const text = buffer.toString("utf8");
  // A character cut by the limit is no flaw of the text.
  const valid =
    isUtf8(shown) || (truncated && [1, 2, 3].some((cut) => isUtf8(shown, 0, Math.max(0, shown.length - cut))));
  return { view: "text", text, truncated, ...(valid ? {} : { problem: "These octets are not all UTF-8." }) };
}

/** Undefined when it is none. Objects have no special keys: `JSON.parse` makes `__proto__` an ordinary one. */
export function parseJson(text: string): unknown {
  if (!/^\s*["[{\-\dtfn]/.test(text)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function readForm(bytes: Uint8Array, options: ContentOptions): Decoded {
  const { text, truncated } = asText(bytes, options);
  const fields: { name: string; value: string; secret: boolean }[] = [];
  for (const [name, value] of new URLSearchParams(text)) {
    if (fields.length >= MAX_FORM_FIELDS) return { view: "form", fields, truncated: true };
    const secret = isSecretParameter(name);
    fields.push({ name, value: secret && !options.showSecrets ? MASK : value, secret });
  }
  return { view: "form", fields, truncated };
}

/** No control characters in the first part but those that text has. */
function isPlainText(bytes: Uint8Array): boolean {
  for (const octet of bytes.subarray(0, 4096)) {
    if (
      octet === 0x7f ||
      (octet < 0x20 && octet !== 0x09 && octet !== 0x0a && octet !== 0x0d && octet !== 0x0c && octet !== 0x1b)
    )
      return false;
  }
  const head = bytes.subarray(0, 4096);
  return [0, 1, 2, 3].some((cut) => isUtf8(head, 0, Math.max(0, head.length - cut)));
}

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string | undefined;
  readonly id: string | undefined;
  readonly retry: string | undefined;
  readonly comment: string | undefined;
}

/** WHATWG HTML, section 9.2.6. */
export function readEvent(bytes: Uint8Array): ServerSentEvent {
  const data: string[] = [];
  const comments: string[] = [];
  let event = "message";
  let id: string | undefined;
  let retry: string | undefined;
  for (const line of Buffer.from(bytes)
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/)) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "event") event = value;
    else if (name === "id") id = value;
    else if (name === "retry") retry = value;
    else if (name === "") comments.push(value);
  }
  return {
    event,
    data: data.length === 0 ? undefined : data.join("\n"),
    id,
    retry,
    comment: comments.length === 0 ? undefined : comments.join("\n"),
  };
}

/** Control characters, and those that turn the direction of text, would make a line lie. */
export function oneLine(text: string, characters = 200): string {
  const shown = text
    .slice(0, characters * 2)
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, " ")
    .trim();
  return shown.length > characters ? `${shown.slice(0, characters - 1)}…` : shown;
}
