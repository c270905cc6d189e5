import type { Exchange } from "./exchange.ts";
import { fieldValue, mediaType } from "./media.ts";
import { isUtf8 } from "../wire/utf8.ts";
import { recordedMessage } from "./recorded-messages.ts";
import type { MessageReader } from "./reader.ts";
import { readPayload } from "./payload.ts";
import { maskQuery, shownPairs } from "./secrets.ts";

/** Messages of a call that are put on a command line; systems take about 2 MiB there. */
const MAX_DATA = 512 * 1024;

/** Fields that the tool sets by itself, or that belong to the connection. */
const OWN_FIELDS = new Set([
  "host",
  "content-length",
  "connection",
  "accept-encoding",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/**
 * A command that sends the captured request again. Everything that came from a visitor is between single quotes and has
 * no control characters: what is pasted into a terminal runs nothing else.
 */
export async function copyAs(
  exchange: Exchange,
  format: "curl" | "grpcurl",
  showSecrets: boolean,
  reader: MessageReader,
): Promise<string> {
  return format === "curl" ? curl(exchange, showSecrets) : grpcurl(exchange, showSecrets, reader);
}

function curl(exchange: Exchange, showSecrets: boolean): string {
  const { protocol } = exchange;
  const data = bodyOf(exchange);
  const encoded = data !== undefined && !isPlain(data);
  const words = ["curl"];
  if (protocol === "grpc") words.push("--http2-prior-knowledge");
  if (protocol === "sse" || protocol === "websocket") words.push("--no-buffer");
  if (protocol === "websocket")
    words.push(
      "--http1.1",
      "--include",
      "--header",
      quoted("connection: Upgrade"),
      "--header",
      quoted("upgrade: websocket"),
    );
  if (exchange.method === "HEAD") words.push("--head");
  else if (exchange.method !== (data === undefined ? "GET" : "POST")) words.push("--request", quoted(exchange.method));
  words.push(quoted(urlOf(exchange, showSecrets)));
  for (const [name, value] of fieldsOf(exchange, showSecrets)) words.push("--header", quoted(`${name}: ${value}`));
  if (fieldValue(exchange.request, "accept-encoding") !== undefined) words.push("--compressed");
  if (data !== undefined) words.push("--data-binary", encoded ? "@-" : quoted(Buffer.from(data).toString("utf8")));
  const command = joined(words);
  if (!encoded) return command;
  return `printf %s ${quoted(Buffer.from(data).toString("base64"))} | base64 -d | ${command}`;
}

async function grpcurl(exchange: Exchange, showSecrets: boolean, reader: MessageReader): Promise<string> {
  const rpc = exchange.row().rpc;
  const words = ["grpcurl"];
  if (fieldValue(exchange.request, ":scheme") !== "https") words.push("-plaintext");
  const messages: string[] = [];
  let size = 0;
  for (let index = exchange.messages.first; index < exchange.messages.total; index++) {
    const record = exchange.messages.get(index);
    if (record?.from !== "visitor" || (record.kind !== "grpc" && record.kind !== "body")) continue;
    const file = messages.length === 0 ? (await reader.schemaOf(exchange, record))?.file : undefined;
    if (file !== undefined && !file.startsWith("bundled:")) words.push("-proto", quoted(file));
    const { value } = await recordedMessage(exchange, record, reader, showSecrets);
    // Without a type there is no JSON: an empty message stands for it, for the user to fill in.
    const text = value === undefined ? "{}" : JSON.stringify(value);
    size += text.length;
    if (size > MAX_DATA) break;
    messages.push(text);
  }
  for (const [name, value] of fieldsOf(exchange, showSecrets)) {
    if (!/^(content-type|user-agent|grpc-|connect-)/.test(name)) words.push("-H", quoted(`${name}: ${value}`));
  }
  if (messages.length > 0) words.push("-d", quoted(messages.join(" ")));
  words.push(quoted(withPort(exchange)), quoted(rpc === undefined ? exchange.path : `${rpc.service}/${rpc.method}`));
  return joined(words);
}

/** grpcurl wants a port. */
function withPort(exchange: Exchange): string {
  const { authority } = exchange;
  if (/:\d+$/.test(authority)) return authority;
  return `${authority}:${fieldValue(exchange.request, ":scheme") === "https" ? 443 : 80}`;
}

function urlOf(exchange: Exchange, showSecrets: boolean): string {
  const url = `${fieldValue(exchange.request, ":scheme") ?? "http"}://${exchange.authority}${exchange.path}`;
  return showSecrets ? url : maskQuery(url);
}

function fieldsOf(exchange: Exchange, showSecrets: boolean): [string, string][] {
  return shownPairs(exchange.request, showSecrets).filter(([name]) => !name.startsWith(":") && !OWN_FIELDS.has(name));
}

/** The body as it was sent, when all of it is here. */
function bodyOf(exchange: Exchange): Uint8Array | undefined {
  if (exchange.visitorBytes === 0 || exchange.visitorBytes > MAX_DATA) return undefined;
  const type = mediaType(fieldValue(exchange.request, "content-type"));
  if (exchange.protocol === "websocket" || exchange.protocol === "tcp" || type.startsWith("application/grpc-web-text"))
    return undefined;
  if (exchange.protocol === "http" || exchange.protocol === "sse") {
    const record = exchange.messages.get(exchange.messages.first);
    const body = record?.from === "visitor" ? readPayload(exchange, record) : undefined;
    return body?.complete === true ? body.bytes : undefined;
  }
  const { bytes, complete } = exchange.visitor.read(0, exchange.visitor.position);
  return complete ? bytes : undefined;
}

/** Text without any control character: between single quotes nothing in it is special. */
function isPlain(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && !hasControl(Buffer.from(bytes).toString("utf8"));
}

// Line ends and escape sequences end a paste in many terminals; characters that turn the direction of text hide what runs.
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function hasControl(text: string): boolean {
  return text.search(CONTROL) >= 0;
}

/** One word of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replace(CONTROL, "").replaceAll("'", "'\\''")}'`;
}

/** An option and its value on a line. */
function joined(words: readonly string[]): string {
  return words.reduce((text, word) =>
    word.startsWith("-") && word !== "@-" ? `${text} \\\n  ${word}` : `${text} ${word}`,
  );
}
