/**
 * Where messages, enums and services are declared in a `.proto` text: full name (without package) to 1-based line. The
 * parser keeps no positions, and "Go to definition" needs no more than this.
 */
export function declarationLines(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  const scopes: (string | undefined)[] = [];
  let pending: { readonly name: string; readonly line: number } | undefined;
  let previous = "";
  let beforePrevious = "";
  let line = 1;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token.startsWith("//")) continue;
    if (token.startsWith("/*") || token === "\n") {
      line += token.split("\n").length - 1;
      continue;
    }
    if (token === "{") {
      scopes.push(pending?.name);
      if (pending !== undefined) lines.set(scopes.filter((name) => name !== undefined).join("."), pending.line);
      pending = undefined;
    } else if (token === "}") scopes.pop();
    else if (token === ";") pending = undefined;
    else if (
      /^(message|enum|service|group)$/.test(previous) &&
      /^[A-Za-z_]\w*$/.test(token) &&
      !/^[.=(]$/.test(beforePrevious)
    ) {
      pending = { name: token, line };
    }
    beforePrevious = previous;
    previous = token;
  }
  return lines;
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|\n|[A-Za-z_]\w*|[^\s\w]|\d[\w.]*/g;

/** Lines of the import statements: path to 1-based line. */
export function importLines(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  text.split("\n").forEach((content, index) => {
    const path = /^\s*import\s+(?:public\s+|weak\s+|option\s+)?["']([^"']+)["']/.exec(content)?.[1];
    if (path !== undefined && !lines.has(path)) lines.set(path, index + 1);
  });
  return lines;
}
