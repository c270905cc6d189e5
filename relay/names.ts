import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** RFC 4648 base32 in lower case: all of it allowed in a DNS label, none of it confused by case folding. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** 13 characters carry 65 bits: nobody finds a share by guessing names. */
const RANDOM_NAME_LENGTH = 13;

/** 256 bits. */
const SECRET_BYTES = 32;

/** What an agent may bring as a secret: 128 bits in base64url are 22 characters. */
const SECRET_PATTERN = /^[A-Za-z0-9_-]{22,128}$/;

/** RFC 1035 section 2.3.1 as hosts use it. */
const LABEL_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Names that people take for the relay itself, or that mail and browsers give a meaning to. */
const RESERVED: ReadonlySet<string> = new Set([
  ...["www", "api", "app", "admin", "account", "accounts", "auth", "login", "signin", "oauth", "sso", "id"],
  ...["relay", "tunnel", "tunnels", "portlight", "agent", "agents", "edge", "gateway", "proxy", "control"],
  ...["mail", "smtp", "imap", "pop", "mx", "ns", "ns1", "ns2", "dns", "ftp", "ssh", "vpn", "wpad", "autoconfig"],
  ...["autodiscover", "localhost", "local", "status", "health", "metrics", "abuse", "support", "help", "docs"],
  ...["blog", "cdn", "static", "assets", "billing", "pay", "payment", "secure", "security", "root", "test"],
  ...["postmaster", "hostmaster", "webmaster", "administrator", "isatap", "broadcasthost", "internal"],
]);

export function randomName(): string {
  let name = "";
  // 256 is a multiple of 32: every letter is as likely as any other.
  for (const octet of randomBytes(RANDOM_NAME_LENGTH)) name += ALPHABET[octet & 31] ?? "";
  return name;
}

export function randomSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

export function isSecret(text: string): boolean {
  return SECRET_PATTERN.test(text);
}

/** Why `name` cannot be had, for people; undefined when it can. */
export function nameProblem(name: string): string | undefined {
  if (!LABEL_PATTERN.test(name)) {
    return "A name is 1 to 63 of a-z, 0-9 and hyphens, and neither begins nor ends with a hyphen";
  }
  // RFC 5890 section 2.3.1: labels with "--" in third and fourth place are for encodings, and show as something else.
  if (name.slice(2, 4) === "--") return "A name cannot have hyphens as its third and fourth characters";
  if (RESERVED.has(name)) return `The name ${name} is reserved`;
  return undefined;
}

export function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Compares digests, so neither content nor length of a secret can be timed. */
export function matches(text: string, expected: Buffer): boolean {
  return timingSafeEqual(digest(text), expected);
}
