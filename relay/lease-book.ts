import type { Logger } from "../wire/logger.ts";
import type { RefusalCode, Refused, ShareGrant, ShareRequest } from "../tunnel/protocol.ts";
import { MAX_SHARES_PER_SESSION } from "../tunnel/protocol.ts";
import type { Guesses } from "./guesses.ts";
import { Lease, hasRoom } from "./lease.ts";
import type { LeaseOwner } from "./lease.ts";
import { digest } from "./names.ts";
import { PublishError } from "./publisher.ts";
import type { Publisher } from "./publisher.ts";
import type { Registry } from "./registry.ts";
import type { WaitingRoom } from "./waiting.ts";

/** Where names are claimed and published, the same for all sessions of a relay. */
export interface LeaseHost {
  readonly registry: Registry<Lease>;
  readonly publisher: Publisher;
  readonly room: WaitingRoom;
  /** Of names and resume secrets. */
  readonly claims: Guesses;
  readonly log: Logger;
}

/** The names that one session holds. */
export class LeaseBook {
  readonly #host: LeaseHost;
  readonly #owner: LeaseOwner;
  readonly #address: string;
  readonly #leases = new Map<string, Lease>();
  #instance: string | undefined;

  constructor(host: LeaseHost, owner: LeaseOwner, address: string) {
    this.#host = host;
    this.#owner = owner;
    this.#address = address;
  }

  get size(): number {
    return this.#leases.size;
  }

  /** As said in `hello`, before the first claim. */
  belongsTo(instance: string | undefined): void {
    this.#instance = instance;
  }

  /** Undefined: nobody waits for the answer any more. Never rejects. */
  async claim(request: ShareRequest): Promise<ShareGrant | Refused | undefined> {
    const { registry, publisher, claims, log } = this.#host;
    const { id, kind, name } = request;
    const refused = (code: RefusalCode, message: string): Refused => ({ type: "refused", id, code, message });
    if (this.#leases.has(id)) return refused("protocol", `The id ${id} is in use in this session`);
    if (this.#leases.size >= MAX_SHARES_PER_SESSION) {
      return refused("limit", `A session has at most ${MAX_SHARES_PER_SESSION} shares`);
    }
    if (name !== undefined && !claims.allows(this.#address, wish(name, request.secret))) {
      return refused("limit", "Names that belong to others were asked for too often; try again in a minute");
    }
    const lease = new Lease(this.#owner, id, kind);
    const claimant = this.#instance === undefined ? undefined : `${this.#instance} ${id}`;
    const claimed = registry.claim({ kind, name, secret: request.secret, claimant, holder: lease });
    if ("refused" in claimed) {
      if (claimed.refused === "name-taken") claims.wrong(this.#address, wish(name ?? "", request.secret));
      return refused(claimed.refused, claimed.message);
    }
    const { record, secret } = claimed;
    // As it comes back: with the secret that is given now.
    claims.right(this.#address, wish(record.name, secret));
    lease.record = record;
    this.#leases.set(id, lease);
    try {
      const published = await publisher.publish(record, request);
      // Meanwhile it may have been taken over, given back, or the session may be over.
      if (this.#leases.get(id) !== lease) return undefined;
      return { id, kind, name: record.name, secret, ...published };
    } catch (error) {
      if (this.#leases.get(id) !== lease) return undefined;
      // Another link may serve it already, and goes on.
      if (record.holders.length === 1) this.stop(id);
      else registry.release(record, lease);
      this.#leases.delete(id);
      if (error instanceof PublishError) return refused(error.code, error.message);
      log.error(
        `A share could not be published: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      return refused("internal", "The share could not be published because of a defect of the relay");
    }
  }

  /** Requests that wait for these names go on, as far as there is room. */
  serve(): void {
    for (const { record } of this.#leases.values()) {
      if (record !== undefined) this.#host.room.serve(record.name, () => hasRoom(record));
    }
  }

  /** The agent ends a share, on all of its links. */
  stop(id: string): void {
    const lease = this.#leases.get(id);
    const record = lease?.record;
    if (lease === undefined || record === undefined) return;
    this.#leases.delete(id);
    const { registry, publisher, room } = this.#host;
    if (!registry.stop(record, lease)) return;
    publisher.withdraw(record);
    room.dismiss(record.name);
  }

  /** It was taken away, and the registry knows. */
  forget(lease: Lease): void {
    if (this.#leases.get(lease.id) === lease) this.#leases.delete(lease.id);
  }

  /** Gives every name back. @param how whether the agent is expected back at once. */
  releaseAll(how: "lost" | "left"): void {
    const { registry, room } = this.#host;
    for (const lease of this.#leases.values()) {
      const { record } = lease;
      if (record === undefined || !registry.release(record, lease)) continue;
      if (how === "lost") room.lost(record.name);
      else room.dismiss(record.name);
    }
    this.#leases.clear();
  }
}

/** A claim as a guess: who has the secret of one name knows nothing of another. */
function wish(name: string, secret: string | undefined): string {
  return secret === undefined ? name : `${name} ${digest(secret).toString("base64url")}`;
}
