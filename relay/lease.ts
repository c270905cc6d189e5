import type { Field, Fields } from "../wire/stream.ts";
import type { Join } from "../tunnel/join.ts";
import { SHARE_FIELD } from "../tunnel/protocol.ts";
import type { ShareKind } from "../tunnel/protocol.ts";
import type { Holder, ShareRecord } from "./registry.ts";

/** What a lease needs of the session that holds it. */
export interface LeaseOwner {
  /** Forwards an exchange through the tunnel, at once or soon; fails it when that is not possible. */
  forward(head: Fields, ended: boolean, join: Join, websocket: boolean): void;
  lost(lease: Lease): void;
}

/** A name in the hands of one session, from its grant until it is given back or taken by a newer session. */
export class Lease implements Holder {
  readonly owner: LeaseOwner;
  /** The agent's id of the share. */
  readonly id: string;
  readonly kind: ShareKind;
  /** One object for all requests, so that HPACK finds its index. */
  readonly field: Field;
  /** Set right after the claim succeeded. */
  grant: { readonly record: ShareRecord<Lease>; readonly generation: number } | undefined;

  constructor(owner: LeaseOwner, id: string, kind: ShareKind) {
    this.owner = owner;
    this.id = id;
    this.kind = kind;
    this.field = { name: SHARE_FIELD, value: id };
  }

  replaced(): void {
    this.owner.lost(this);
  }
}
