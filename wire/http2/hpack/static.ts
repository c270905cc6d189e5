import type { Field } from "../../stream.ts";

/** RFC 7541 appendix A; index 1 is the first. */
const ENTRIES: readonly (readonly [string, string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

export const STATIC_FIELDS: readonly Field[] = ENTRIES.map(([name, value]) => ({ name, value }));
/** The dynamic table begins behind the static one, at index 62. */
export const STATIC_COUNT = STATIC_FIELDS.length;

/** Indexes by object: a field that a decoder of this process read by static index. */
export const STATIC_INDEX: ReadonlyMap<Field, number> = new Map(STATIC_FIELDS.map((field, at) => [field, at + 1]));

/** The first index of each name. */
export const STATIC_NAMES: ReadonlyMap<string, number> = new Map(
  STATIC_FIELDS.map(({ name }, at): [string, number] => [name, at + 1]).reverse(),
);

/** `:status` and the other names with several values, by value. */
export const STATIC_VALUES: ReadonlyMap<string, ReadonlyMap<string, number>> = byValue();

function byValue(): Map<string, Map<string, number>> {
  const names = new Map<string, Map<string, number>>();
  for (const [at, { name, value }] of STATIC_FIELDS.entries()) {
    let values = names.get(name);
    if (values === undefined) names.set(name, (values = new Map<string, number>()));
    values.set(value, at + 1);
  }
  return names;
}
