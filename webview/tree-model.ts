import { formatCount, shortName } from "./format.ts";
import type { Decoded } from "./message-model.ts";

type ProtobufNode = Extract<Decoded, { view: "protobuf" }>["tree"][number];

/** What kind of thing a value is: chooses its colour, and whether it is quoted. */
export type ValueKind = "string" | "number" | "boolean" | "null" | "other";

/** A node of a value, whatever it was decoded from. Children are made when asked for: a payload may have a million. */
export interface TreeNode {
  readonly name: string;
  readonly number?: number;
  readonly type?: string;
  readonly value?: string;
  readonly kind: ValueKind;
  readonly alternative?: string;
  readonly unknown?: boolean;
  readonly range?: { readonly offset: number; readonly length: number };
  readonly children?: () => readonly TreeNode[];
  readonly childCount: number;
  readonly summary?: string;
}

/** One visible line of a tree. */
export interface TreeLine {
  readonly node: TreeNode;
  /** Indexes from the root: identity of the node while the value is the same. */
  readonly path: string;
  /** 1-based, as `aria-level`. */
  readonly level: number;
  readonly expanded: boolean | undefined;
  readonly setSize: number;
  readonly position: number;
}

/** Nodes with more children than this begin closed, as do those below this level. */
const OPEN_CHILDREN = 50;
const OPEN_LEVEL = 4;
const SUMMARY_LENGTH = 60;

export function nodesOf(decoded: Decoded): readonly TreeNode[] {
  if (decoded.view === "protobuf") return decoded.tree.map(fromProtobuf);
  if (decoded.view === "json") return jsonChildren(decoded.json) ?? [fromJson("value", decoded.json)];
  return [];
}

/** The lines of a tree, closed branches left out. `toggled`: paths that are not as they begin. */
export function linesOf(nodes: readonly TreeNode[], toggled: ReadonlySet<string>): TreeLine[] {
  const lines: TreeLine[] = [];
  const walk = (siblings: readonly TreeNode[], prefix: string, level: number): void => {
    siblings.forEach((node, index) => {
      const path = `${prefix}/${index}`;
      const expandable = node.children !== undefined && node.childCount > 0;
      const expanded = expandable ? startsOpen(node, level) !== toggled.has(path) : undefined;
      lines.push({ node, path, level, expanded, setSize: siblings.length, position: index + 1 });
      if (expanded === true) walk(node.children?.() ?? [], path, level + 1);
    });
  };
  walk(nodes, "", 1);
  return lines;
}

function startsOpen(node: TreeNode, level: number): boolean {
  return level < OPEN_LEVEL && node.childCount <= OPEN_CHILDREN;
}

const NUMBERS = /^(?:u?int|sint|fixed|sfixed)(?:32|64)$|^(?:float|double|varint|32-bit|64-bit)$/;

function fromProtobuf(node: ProtobufNode): TreeNode {
  const { children } = node;
  const kind = kindOf(node);
  return {
    name: node.name,
    ...(node.number === undefined ? {} : { number: node.number }),
    type: node.type,
    ...(node.value === undefined ? {} : { value: kind === "string" ? JSON.stringify(node.value) : node.value }),
    kind,
    ...(node.alternative === undefined ? {} : { alternative: node.alternative }),
    ...(node.unknown === true ? { unknown: true } : {}),
    range: { offset: node.offset, length: node.length },
    childCount: children?.length ?? 0,
    ...(children === undefined ? {} : { children: () => children.map(fromProtobuf), summary: summaryOf(children) }),
  };
}

function kindOf({ type, value }: ProtobufNode): ValueKind {
  if (value === undefined) return "other";
  if (type === "string") return "string";
  if (type === "bool") return "boolean";
  return NUMBERS.test(type) ? "number" : "other";
}

/** The first fields of a closed message, as developer tools show an object. */
function summaryOf(children: readonly ProtobufNode[]): string {
  let text = "";
  for (const [index, child] of children.entries()) {
    const value =
      child.value === undefined ? "{…}" : child.type === "string" ? JSON.stringify(child.value) : child.value;
    text += `${index === 0 ? "" : ", "}${child.name}: ${value}`;
    if (text.length > SUMMARY_LENGTH) return `{${text.slice(0, SUMMARY_LENGTH)}…}`;
  }
  return `{${text}}`;
}

function jsonChildren(value: unknown): readonly TreeNode[] | undefined {
  if (Array.isArray(value)) return value.map((item, index) => fromJson(String(index), item));
  if (typeof value === "object" && value !== null)
    return Object.entries(value).map(([name, item]) => fromJson(name, item));
  return undefined;
}

function fromJson(name: string, value: unknown): TreeNode {
  if (typeof value === "object" && value !== null) {
    const childCount = Array.isArray(value) ? value.length : Object.keys(value).length;
    const summary = Array.isArray(value)
      ? `[${formatCount(childCount)}]`
      : childCount === 0
        ? "{}"
        : `{${Object.keys(value).slice(0, 6).join(", ").slice(0, SUMMARY_LENGTH)}${childCount > 6 ? ", …" : ""}}`;
    return { name, kind: "other", childCount, children: () => jsonChildren(value) ?? [], summary };
  }
  const kind: ValueKind =
    typeof value === "string"
      ? "string"
      : typeof value === "number"
        ? "number"
        : typeof value === "boolean"
          ? "boolean"
          : "null";
  return { name, kind, value: JSON.stringify(value), childCount: 0 };
}

/** `map<string, pkg.Type>` and `pkg.Type` without packages. */
export function shortType(type: string): string {
  return type.replace(/[\w.]+/g, (name) => shortName(name));
}
