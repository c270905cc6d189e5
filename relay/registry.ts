import { MAX_LINKS } from "../tunnel/protocol.ts";
import type { RefusalCode, ShareKind } from "../tunnel/protocol.ts";
import { digest, isSecret, matches, nameProblem, randomName, randomSecret } from "./names.ts";

/**
 * How long visitors are told that a share is offline after its owner was last seen. Dev tunnels expire after 30 days too:
 * long enough for a holiday. Then the share is unknown to them, but the name is nobody else's either: who had it can have
 * it back as long as its place is not needed, so that nobody inherits the webhooks of somebody else's name. Kept in
 * memory: after a restart of the relay the first who asks for a name with a secret has it, which the owner does within
 * seconds.
 */
export const RESERVATION_MS = 30 * 24 * 60 * 60 * 1000;

/** Names held altogether, connected, offline or expired. One costs about 300 octets, so this is 30 MB. */
const MAX_NAMES = 100_000;

export type Dismissal =
  /** Another instance of the owner has the name now. */
  | "replaced"
  /** The owner ended the share, on another link. */
  | "stopped"
  /** The owner has more links than make sense; this was the oldest. */
  | "surplus";

/** Who holds a name: a session of an agent, known here only by what it must be told. */
export interface Holder {
  /** It holds the name no longer. */
  dismissed(why: Dismissal): void;
}

/** One name. The object lives as long as the reservation. */
export interface ShareRecord<H extends Holder> {
  readonly name: string;
  readonly kind: ShareKind;
  readonly secretDigest: Buffer;
  /** Of whoever claimed it last. */
  claimant: string | undefined;
  /** The links of its agent, the oldest first. None: offline. */
  readonly holders: H[];
  /** Which of them begins the next time they are looked through. */
  turn: number;
  /** The agent stopped sharing: visitors are told that there is no such share, the owner can still have it back. */
  stopped: boolean;
  /** Milliseconds since the epoch; judged while there is no holder. */
  expiresAt: number;
}

export interface Claim<H extends Holder> {
  readonly kind: ShareKind;
  readonly name?: string | undefined;
  readonly secret?: string | undefined;
  /** Who claims again with the same one adds a holder; anybody else replaces all. Undefined: nobody is the same. */
  readonly claimant?: string | undefined;
  readonly holder: H;
}

export type ClaimResult<H extends Holder> =
  | { readonly record: ShareRecord<H>; readonly secret: string }
  | { readonly refused: RefusalCode; readonly message: string };

/**
 * Who has which name. Every method is synchronous, so a claim is one atomic step however many agents ask at once.
 */
export class Registry<H extends Holder> {
  readonly #records = new Map<string, ShareRecord<H>>();
  readonly #now: () => number;
  readonly #maxNames: number;

  /** @param now milliseconds since the epoch. */
  constructor(now: () => number, maxNames: number = MAX_NAMES) {
    this.#now = now;
    this.#maxNames = maxNames;
  }

  get size(): number {
    return this.#records.size;
  }

  /** A share visitors may know of: online or offline, not stopped, not expired. */
  find(name: string): ShareRecord<H> | undefined {
    const record = this.#records.get(name);
    if (record === undefined || record.stopped) return undefined;
    return this.#expired(record) ? undefined : record;
  }

  /** Whether a name is somebody's: found, or stopped and reserved. */
  knows(name: string): boolean {
    const record = this.#records.get(name);
    return record !== undefined && !this.#expired(record);
  }

  claim(claim: Claim<H>): ClaimResult<H> {
    const { name, secret, holder, kind, claimant } = claim;
    if (secret !== undefined && !isSecret(secret)) {
      return { refused: "name-invalid", message: "The resume secret is not one that a relay gives" };
    }
    if (name !== undefined) {
      const known = this.#records.get(name);
      // Expired or not.
      if (known !== undefined) return this.#reclaim(known, claim);
      // One answer for reserved and malformed names alike, and before any record is made.
      const problem = nameProblem(name);
      if (problem !== undefined) return { refused: "name-invalid", message: problem };
    }
    if (this.#records.size >= this.#maxNames) this.#makeRoom();
    if (this.#records.size >= this.#maxNames) {
      return { refused: "limit", message: `This relay holds ${this.#maxNames} names already` };
    }
    const given = secret ?? randomSecret();
    const record: ShareRecord<H> = {
      name: name ?? this.#freshName(),
      kind,
      secretDigest: digest(given),
      claimant,
      holders: [holder],
      turn: 0,
      stopped: false,
      expiresAt: 0,
    };
    this.#records.set(record.name, record);
    return { record, secret: given };
  }

  /** This holder is gone. The name stays its owner's. True when it was the last: the share is offline. */
  release(record: ShareRecord<H>, holder: H): boolean {
    const index = record.holders.indexOf(holder);
    if (index < 0) return false;
    record.holders.splice(index, 1);
    record.expiresAt = this.#now() + RESERVATION_MS;
    return record.holders.length === 0;
  }

  /** The owner ends the share: the other holders are told. False when this one has it no longer. */
  stop(record: ShareRecord<H>, holder: H): boolean {
    if (!record.holders.includes(holder)) return false;
    const holders = record.holders.splice(0);
    record.stopped = true;
    record.expiresAt = this.#now() + RESERVATION_MS;
    for (const other of holders) if (other !== holder) other.dismissed("stopped");
    return true;
  }

  /** Forgets what has expired: called when there is no room for more, and not before. */
  #makeRoom(): void {
    for (const record of this.#records.values()) if (this.#expired(record)) this.#records.delete(record.name);
  }

  #reclaim(record: ShareRecord<H>, claim: Claim<H>): ClaimResult<H> {
    if (claim.secret === undefined || !matches(claim.secret, record.secretDigest)) {
      return { refused: "name-taken", message: `The name ${record.name} belongs to somebody else` };
    }
    if (record.kind !== claim.kind) {
      return { refused: "name-taken", message: `The name ${record.name} belongs to a share of kind ${record.kind}` };
    }
    const { claimant, holder, secret } = claim;
    const isSame = claimant !== undefined && claimant === record.claimant;
    const why: Dismissal = isSame ? "surplus" : "replaced";
    const former = record.holders.splice(0, isSame ? Math.max(0, record.holders.length + 1 - MAX_LINKS) : Infinity);
    record.holders.push(holder);
    record.claimant = claimant;
    record.stopped = false;
    // After the change: whatever an old holder does now finds itself outdated.
    for (const old of former) old.dismissed(why);
    return { record, secret };
  }

  #freshName(): string {
    // 65 random bits: a second round is a matter of principle.
    for (;;) {
      const name = randomName();
      if (!this.#records.has(name)) return name;
    }
  }

  #expired(record: ShareRecord<H>): boolean {
    return record.holders.length === 0 && this.#now() >= record.expiresAt;
  }
}
