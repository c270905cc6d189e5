import { ErrorCodes, ResponseError } from "vscode-jsonrpc";

/** Refuses a request with what is wrong in it, for people. */
export function invalid(message: string): ResponseError<undefined> {
  return new ResponseError(ErrorCodes.InvalidParams, message);
}

/**
 * Parameters of a request, checked one by one: pages and other programs are not trusted to send what the types say.
 * Every method throws an InvalidParams error with a clear text.
 */
export class Parameters {
  readonly #method: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(method: string, params: unknown) {
    this.#method = method;
    if (params === null || params === undefined) this.#values = {};
    else if (typeof params === "object" && !Array.isArray(params)) this.#values = params as Record<string, unknown>;
    else throw invalid(`${method}: the parameters are not an object.`);
  }

  string(name: string, maximum: number): string {
    const value = this.#get(name);
    if (typeof value !== "string") throw this.#wrong(name, "a string");
    if (value.length > maximum) throw this.#wrong(name, `at most ${maximum} characters long`);
    return value;
  }

  nullableString(name: string, maximum: number): string | null {
    return this.#get(name) === null ? null : this.string(name, maximum);
  }

  /** A whole number from 0 up. */
  natural(name: string, maximum = Number.MAX_SAFE_INTEGER): number {
    const value = this.#get(name);
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
      throw this.#wrong(name, "a whole number, 0 or more");
    if (value > maximum) throw this.#wrong(name, `at most ${maximum}`);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#get(name);
    if (typeof value !== "boolean") throw this.#wrong(name, "true or false");
    return value;
  }

  choice<const T extends string>(name: string, choices: readonly T[]): T {
    const value = this.#get(name);
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.#wrong(name, `one of ${choices.join(", ")}`);
    return found;
  }

  naturals(name: string, maximum: number): number[] {
    const value = this.#get(name);
    const isList =
      Array.isArray(value) && value.every((item) => typeof item === "number" && Number.isInteger(item) && item >= 0);
    if (!isList) throw this.#wrong(name, "a list of whole numbers");
    if (value.length > maximum) throw this.#wrong(name, `a list of at most ${maximum}`);
    return value as number[];
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
  }

  #wrong(name: string, must: string): ResponseError<undefined> {
    return invalid(`${this.#method}: "${name}" must be ${must}.`);
  }
}
