import type { Hello, Refused, ShareGrant, Welcome } from "../tunnel/protocol.ts";
import type { Fields, Stream, StreamEvents } from "../wire/stream.ts";
import type { Link } from "./link.ts";
import type { ShareInfo } from "./options.ts";

export type Problem = NonNullable<ShareInfo["problem"]>;

/** What a link asks and tells whoever has the shares. */
export interface LinkEvents {
  /** Whether there is anything to dial for, on this link and now. */
  needed(link: Link): boolean;
  /** What this link says first. Its shares count as asked for. */
  hello(link: Link): Hello;
  welcomed(link: Link, message: Welcome): void;
  granted(link: Link, grant: ShareGrant): void;
  /** One share is refused. */
  refused(link: Link, id: string, refusal: Refused): void;
  unshared(link: Link, id: string): void;
  /** A request of a visitor. */
  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents;
  /** A new round trip time. */
  measured(link: Link): void;
  /** The relay goes down: it still sends exchanges, and another one is being dialled. */
  retired(link: Link): void;
  /** It carries nothing any more; `retryAt` says whether and when it dials again. */
  lost(link: Link, problem: Problem): void;
  /** As `lost`, and only the user can change why. */
  gaveUp(link: Link, problem: Problem): void;
}
