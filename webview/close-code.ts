import type { Tone } from "./row-text.ts";

/** The names of the WebSocket close codes (RFC 6455 section 7.4.1 and the IANA registry). */
const NAMES: ReadonlyMap<number, string> = new Map([
  [1000, "Normal Closure"],
  [1001, "Going Away"],
  [1002, "Protocol Error"],
  [1003, "Unsupported Data"],
  [1005, "No Status Given"],
  [1006, "Cut Off"],
  [1007, "Invalid Data"],
  [1008, "Policy Violation"],
  [1009, "Message Too Big"],
  [1010, "Extension Missing"],
  [1011, "Internal Error"],
  [1012, "Service Restart"],
  [1013, "Try Again Later"],
  [1014, "Bad Gateway"],
  [1015, "TLS Failed"],
]);

/** `1000 Normal Closure`; codes from 3000 on are the application's own and have no name. */
export function closeCodeText(code: number): string {
  return `${code} ${NAMES.get(code) ?? ""}`.trimEnd();
}

/** 1000, 1001 and 1005 are how a WebSocket ends when all is well; what an application's own code means only it knows. */
export function closeCodeTone(code: number): Tone {
  if (code === 1000 || code === 1001 || code === 1005) return "good";
  return code >= 3000 ? "warning" : "bad";
}
