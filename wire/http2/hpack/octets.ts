/** Which octets names and values may hold (RFC 9113 section 8.2.1, RFC 9110 sections 5.1 and 5.5). */

/** Letters in lower case only, digits, and !#$%&'*+-.^_`|~ */
const NAME = table("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~");
/** The same with letters in upper case: methods, protocols. */
const TOKEN = table("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~");

function table(characters: string): Uint8Array {
  const octets = new Uint8Array(256);
  for (const character of characters) octets[character.charCodeAt(0)] = 1;
  return octets;
}

/** ":" counts as one here: pseudo-fields pass the same way; `isName` judges names as a whole. */
export function isNameOctet(code: number): boolean {
  return NAME[code] === 1 || code === 0x3a;
}

/** No control characters but HTAB, no DEL; everything from 0x80 to 0xff passes, and nothing above. */
export function isValueOctet(code: number): boolean {
  return (code >= 0x20 && code <= 0xff && code !== 0x7f) || code === 0x09;
}

/** A regular field's name: not empty, lower case, no ":" anywhere. */
export function isName(name: string): boolean {
  for (let index = 0; index < name.length; index++) if (NAME[name.charCodeAt(index)] !== 1) return false;
  return name.length > 0;
}

export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (TOKEN[text.charCodeAt(index)] !== 1) return false;
  return text.length > 0;
}

/** Space or tab at either end (RFC 9113 section 8.2.1). */
export function isPadded(value: string): boolean {
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09;
}

export function isValue(value: string): boolean {
  for (let index = 0; index < value.length; index++) if (!isValueOctet(value.charCodeAt(index))) return false;
  return !isPadded(value);
}
