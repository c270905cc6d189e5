/** Octets, and strings that hold one octet per character (latin-1). */

export const EMPTY = new Uint8Array(0);

export const CR = 0x0d;
export const LF = 0x0a;
export const SP = 0x20;
export const HTAB = 0x09;
export const COLON = 0x3a;

function table(allowed: (octet: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => (allowed(octet) ? 1 : 0));
}

const TOKEN_SIGNS = "!#$%&'*+-.^_`|~";

/** tchar, RFC 9110 section 5.6.2. */
export const IS_TOKEN = table(
  (octet) =>
    (octet >= 0x30 && octet <= 0x39) ||
    (octet >= 0x41 && octet <= 0x5a) ||
    (octet >= 0x61 && octet <= 0x7a) ||
    TOKEN_SIGNS.includes(String.fromCharCode(octet)),
);

/** field-vchar, SP and HTAB, RFC 9110 section 5.5: no other control octet. */
export const IS_VALUE = table((octet) => octet === HTAB || (octet >= SP && octet !== 0x7f));

/**
 * A request target: no control octet, no space, no fragment. Octets above 0x7f are not in RFC 3986, but curl sends them
 * as typed and services understand them.
 */
export const IS_TARGET = table((octet) => octet > SP && octet !== 0x7f && octet !== 0x23);

/** Upper case ASCII letters to lower case, all else unchanged. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet,
);

/** More arguments than some ten thousand overflow the stack of a call. */
const ARGUMENTS = 4096;

export function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  for (let at = from; at < to; at += ARGUMENTS) {
    const part = bytes.subarray(at, Math.min(at + ARGUMENTS, to));
    text += String.fromCharCode.apply(null, part as unknown as number[]);
  }
  return text;
}

/** Writes `text` into `bytes` and returns the offset behind it. Characters are octets. */
export function writeLatin1(text: string, bytes: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}

export function encodeLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  writeLatin1(text, bytes, 0);
  return bytes;
}

/** Whether each character of `text` is an octet that `allowed` has. */
export function consistsOf(text: string, allowed: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (allowed[text.charCodeAt(index)] !== 1) return false;
  return true;
}

export function isToken(text: string): boolean {
  return text.length > 0 && consistsOf(text, IS_TOKEN);
}

/** The members of a comma-separated list of tokens, lower case (RFC 9110 section 5.6.1). */
export function listMembers(value: string): string[] {
  return value
    .toLowerCase()
    .split(",")
    .map((member) => member.trim())
    .filter((member) => member !== "");
}
