import type { Fields } from "../wire/stream.ts";

/** The first field of this name; undefined when there is none. */
export function fieldValue(fields: Fields, name: string): string | undefined {
  for (const field of fields) if (field.name === name) return field.value;
  return undefined;
}

/** `type/subtype` in lower case, without parameters. */
export function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return "";
  const semicolon = contentType.indexOf(";");
  return (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}

/** The charset parameter, in lower case. */
export function charset(contentType: string | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType ?? "")?.[1]?.toLowerCase();
}

/** `application/json`, `application/problem+json`, `text/json`, … */
export function isJsonType(type: string): boolean {
  return (
    type === "application/json" || type === "text/json" || type === "application/x-ndjson" || type.endsWith("+json")
  );
}

export function isProtobufType(type: string): boolean {
  return (
    /^application\/(x-)?(protobuf|google\.protobuf|vnd\.google\.protobuf|proto)$/.test(type) ||
    type.endsWith("+protobuf")
  );
}

export function isTextType(type: string): boolean {
  return (
    type.startsWith("text/") ||
    isJsonType(type) ||
    /^application\/(javascript|ecmascript|xml|graphql|sql|yaml|x-yaml|toml|x-sh|xhtml\+xml|ld\+json)$/.test(type) ||
    type.endsWith("+xml") ||
    type.endsWith("+yaml")
  );
}
