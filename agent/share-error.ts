import type { RefusalCode } from "../tunnel/protocol.ts";
import type { Failure } from "../wire/stream.ts";

export type ShareErrorCode =
  | RefusalCode
  | Failure["code"]
  /** The options are wrong: what the message says must be changed. */
  | "invalid"
  /** The share was ended before it was granted. */
  | "ended";

/** Why a port is not shared. The message is for people: what, where, what to do. */
export class ShareError extends Error {
  override readonly name = "ShareError";
  readonly code: ShareErrorCode;
  constructor(code: ShareErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
