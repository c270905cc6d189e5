import { createHash } from "node:crypto";
import type { ShareKind } from "./share-request.ts";

/** What brings a share's URL back the next time the same port is shared: the name, its resume secret, the public port. */
export interface RememberedShare {
  readonly name: string;
  readonly secret: string;
  readonly publicPort?: number;
}

/** The part of `vscode.SecretStorage` that is used. */
export interface SecretStore {
  get(key: string): Thenable<string | undefined>;
  store(key: string, value: string): Thenable<void>;
  delete(key: string): Thenable<void>;
}

export interface SharePlace {
  /** URL of the relay, or "local". */
  readonly relay: string;
  readonly port: number;
  readonly kind: ShareKind;
}

/** Resume secrets and relay tokens. Only ever in the editor's encrypted secret storage. */
export class Memory {
  readonly #secrets: SecretStore;
  readonly #workspace: string;

  /** `workspace`: what tells workspaces apart; only its digest is stored. */
  constructor(secrets: SecretStore, workspace: string) {
    this.#secrets = secrets;
    this.#workspace = createHash("sha256").update(workspace).digest("hex").slice(0, 16);
  }

  async share(place: SharePlace): Promise<RememberedShare | undefined> {
    const text = await this.#secrets.get(this.#shareKey(place));
    return text === undefined ? undefined : parseRemembered(text);
  }

  async rememberShare(place: SharePlace, share: RememberedShare): Promise<void> {
    await this.#secrets.store(this.#shareKey(place), JSON.stringify(share));
  }

  async forgetShare(place: SharePlace): Promise<void> {
    await this.#secrets.delete(this.#shareKey(place));
  }

  /** The token of a remote relay. It belongs to that relay's URL and is never shown to another. */
  async token(relay: string): Promise<string | undefined> {
    return this.#secrets.get(tokenKey(relay));
  }

  async rememberToken(relay: string, token: string): Promise<void> {
    await this.#secrets.store(tokenKey(relay), token);
  }

  async forgetToken(relay: string): Promise<void> {
    await this.#secrets.delete(tokenKey(relay));
  }

  #shareKey({ relay, port, kind }: SharePlace): string {
    return `portlight.share:${this.#workspace}:${relay}:${kind}:${port}`;
  }
}

function tokenKey(relay: string): string {
  return `portlight.token:${relay}`;
}

/** Undefined for anything that an older or newer version may have left there. */
export function parseRemembered(text: string): RememberedShare | undefined {
  try {
    const value = JSON.parse(text) as Partial<RememberedShare> | null;
    if (typeof value?.name !== "string" || typeof value.secret !== "string") return undefined;
    const { name, secret, publicPort } = value;
    return typeof publicPort === "number" ? { name, secret, publicPort } : { name, secret };
  } catch {
    return undefined;
  }
}
