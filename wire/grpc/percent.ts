import { decodeUtf8 } from "../utf8.ts";

/**
 * `grpc-message`, percent-decoded. PROTOCOL-HTTP2.md: a reader must not fail on what is invalid, so an escape that is
 * none stays as it is; octets that are not UTF-8 afterwards are shown as latin-1.
 */
export function decodeGrpcMessage(value: string): string {
  const octets = new Uint8Array(value.length);
  let length = 0;
  for (let position = 0; position < value.length; position++) {
    const escaped = /^%[0-9A-Fa-f]{2}/.test(value.slice(position, position + 3));
    if (escaped) {
      octets[length++] = parseInt(value.slice(position + 1, position + 3), 16);
      position += 2;
    } else octets[length++] = value.charCodeAt(position) & 0xff;
  }
  const text = decodeUtf8(octets, 0, length);
  if (text !== undefined) return text;
  // Not all at once: a message as long as a head may be is more arguments than the stack holds.
  let latin1 = "";
  for (let index = 0; index < length; index++) latin1 += String.fromCharCode(octets[index] ?? 0);
  return latin1;
}
