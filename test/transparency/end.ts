import { createHash } from "node:crypto";
import { within } from "../support/time.ts";

/** How a direction from the peer ended: in order (FIN, END_STREAM) or not (RST, RST_STREAM, a lost connection). */
export type Ending = "end" | "reset";

/** What one end of a conversation has received, as it is compared. */
export interface Seen {
  /** Hexadecimal, or size and hash when that would be long. */
  readonly octets: string;
  readonly ending: Ending | "open";
}

/**
 * One end of an open WebSocket as octets, whatever carries it. It knows no frame: what is compared is what passed, not
 * what anybody makes of it.
 */
export abstract class End {
  #received: Buffer[] = [];
  #size = 0;
  #ending: Ending | undefined;
  #waiting: (() => void)[] = [];
  /** Takes what is received instead: nothing is kept then. */
  forward: ((bytes: Buffer) => void) | undefined;

  abstract write(bytes: Uint8Array): void;
  /** The last octets and the orderly end of this direction in one go; the other direction stays open. */
  abstract finish(bytes?: Uint8Array): void;
  /** The last octets and at once the abnormal end of both directions. */
  abstract reset(bytes?: Uint8Array): void;
  /** Lets go of everything. */
  abstract close(): void;

  get size(): number {
    return this.#size;
  }

  get octets(): Buffer {
    return Buffer.concat(this.#received);
  }

  get seen(): Seen {
    const { octets } = this;
    return {
      octets:
        octets.length <= 4096
          ? octets.toString("hex")
          : `${octets.length} octets, sha256 ${createHash("sha256").update(octets).digest("hex")}`,
      ending: this.#ending ?? "open",
    };
  }

  /** Resolves when `size` octets are there in all; rejects when the direction ends before. */
  async receivedSize(size: number, ms = 10_000): Promise<void> {
    await this.#until(() => this.#size >= size, `${size} octets`, ms);
    if (this.#size < size)
      throw new Error(`${this.#ending ?? "?"} after ${this.#size} of ${size} octets: ${this.seen.octets}`);
  }

  /** @param ms may be Infinity. */
  async ended(ms = 10_000): Promise<Ending> {
    await this.#until(() => false, "the end", ms);
    return this.#ending ?? "reset";
  }

  protected received(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.forward !== undefined) {
      this.forward(bytes);
      return;
    }
    this.#received.push(bytes);
    this.#size += bytes.length;
    this.#wake();
  }

  /** The first one counts. */
  protected over(ending: Ending): void {
    this.#ending ??= ending;
    this.#wake();
  }

  async #until(condition: () => boolean, what: string, ms: number): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!condition() && this.#ending === undefined)
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
    };
    if (ms === Infinity) await wait();
    else await within(ms, `${what}; ${this.#size} octets so far`, wait());
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
