import type { Field, Fields } from "../wire/stream.ts";
import type { Join } from "../tunnel/join.ts";
import { SHARE_FIELD } from "../tunnel/protocol.ts";
import type { ShareKind } from "../tunnel/protocol.ts";
import type { Dismissal, Holder, ShareRecord } from "./registry.ts";

/** What a lease needs of the session that holds it. */
export interface LeaseOwner {
  /** Exchanges that it takes now. */
  readonly capacity: number;
  /** Exchanges that it carries. */
  readonly openExchanges: number;
  /** Forwards an exchange through the tunnel; fails it when that is not possible. */
  forward(head: Fields, ended: boolean, join: Join, websocket: boolean): void;
  dismissed(lease: Lease, why: Dismissal): void;
}

/** A name in the hands of one session (a link of its agent), from its grant until it is given back or taken away. */
export class Lease implements Holder {
  readonly owner: LeaseOwner;
  /** The agent's id of the share. */
  readonly id: string;
  readonly kind: ShareKind;
  /** One object for all requests, so that HPACK finds its index. */
  readonly field: Field;
  /** Set right after the claim succeeded. */
  record: ShareRecord<Lease> | undefined;

  constructor(owner: LeaseOwner, id: string, kind: ShareKind) {
    this.owner = owner;
    this.id = id;
    this.kind = kind;
    this.field = { name: SHARE_FIELD, value: id };
  }

  dismissed(why: Dismissal): void {
    this.owner.dismissed(this, why);
  }
}

/**
 * The link for the next exchange: of those with room the one that carries the fewest, in turn where several carry as few.
 * A link that is dead without our knowing collects exchanges and is soon avoided.
 */
export function nextLease(record: ShareRecord<Lease>): Lease | undefined {
  const { holders } = record;
  const count = holders.length;
  if (count === 1) return roomy(holders[0]);
  let next: Lease | undefined;
  let fewest = Infinity;
  const from = record.turn++;
  for (let index = 0; index < count; index++) {
    const lease = roomy(holders[(from + index) % count]);
    const open = lease?.owner.openExchanges ?? Infinity;
    if (open >= fewest) continue;
    next = lease;
    fewest = open;
  }
  return next;
}

/** Whether `nextLease` would find one. */
export function hasRoom(record: ShareRecord<Lease>): boolean {
  return record.holders.some((lease) => lease.owner.capacity > 0);
}

function roomy(lease: Lease | undefined): Lease | undefined {
  return lease !== undefined && lease.owner.capacity > 0 ? lease : undefined;
}
