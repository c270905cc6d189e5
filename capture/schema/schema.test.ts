import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { before, describe, it } from "node:test";
import { bufRoots } from "./buf-yaml.ts";
import { loadSchema } from "./load.ts";
import { declarationLines } from "./positions.ts";

/** A folder with these files; text of `->target` makes a symbolic link. */
async function workspace(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), "portlight-schema-")));
  for (const [name, text] of Object.entries(files)) {
    const full = path.join(folder, name);
    await mkdir(path.dirname(full), { recursive: true });
    if (text.startsWith("->")) await symlink(text.slice(2), full);
    else await writeFile(full, text);
  }
  return folder;
}

async function load(
  files: Readonly<Record<string, string>>,
  protoRoots: readonly string[] = [],
): Promise<Awaited<ReturnType<typeof loadSchema>> & { folder: string }> {
  const folder = await workspace(files);
  try {
    return { folder, ...(await loadSchema({ workspaceFolders: [folder], protoRoots })) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const message = (name: string, body = "", head = ""): string =>
  `syntax = "proto3";\n${head}\nmessage ${name} { ${body} }\n`;

describe("schema: finding and importing", () => {
  it("guesses import roots from the import paths, in nested folders", async () => {
    const { universe, result } = await load({
      "services/orders/proto/acme/orders/v1/orders.proto": message(
        "Order",
        "acme.common.v1.Money price = 1; acme.google.X x = 2;",
        'package acme.orders.v1;\nimport "acme/common/v1/money.proto";\nimport "google/protobuf/timestamp.proto";',
      ),
      "services/orders/proto/acme/common/v1/money.proto": message(
        "Money",
        "int64 units = 1;",
        "package acme.common.v1;",
      ),
    });
    const field = universe.message("acme.orders.v1.Order")?.fields.get(1);
    assert.equal(field?.shape.kind === "message" && field.shape.message.fullName, "acme.common.v1.Money");
    assert.equal(universe.message("acme.orders.v1.Order")?.fields.get(2)?.shape.kind, "unresolved");
    assert.deepEqual(result.status.problems, []);
    assert.deepEqual(result.status.roots, [
      { path: "services/orders/proto", from: "imports" },
      { path: ".", from: "workspace" },
    ]);
    assert.deepEqual([result.status.files, result.status.types], [2, 2], "bundled types are not counted");
  });

  it("skips packages and build output, but not what the setting names", async () => {
    const files = {
      "node_modules/x/a.proto": message("Hidden"),
      "dist/b.proto": message("Built"),
      ".cache/c.proto": message("Cached"),
      "vendor/d.proto": message("Vendored"),
    };
    const { universe } = await load(files);
    assert.deepEqual(
      ["Hidden", "Built", "Cached", "Vendored"].map((name) => universe.message(name) !== undefined),
      [false, false, false, true],
    );
    const named = await load(files, ["node_modules/x"]);
    assert.notEqual(named.universe.message("Hidden"), undefined);
    assert.deepEqual(named.result.status.roots[0], { path: "node_modules/x", from: "setting" });
  });

  it("tells a broken file with line and column, and reads all others", async () => {
    const { universe, result } = await load({
      "good.proto": message("Good"),
      "bad.proto": 'syntax = "proto3";\n\nmessage Bad {\n  int32 a = ;\n}\n',
      "twice.proto": message("Twice", "int32 a = 1; int32 b = 1;"),
      "empty.proto": "",
    });
    assert.notEqual(universe.message("Good"), undefined);
    assert.deepEqual(
      [...result.status.problems].sort((a, b) => (a.file < b.file ? -1 : 1)),
      [
        { file: "bad.proto", line: 4, column: 13, message: "illegal id ';'" },
        { file: "twice.proto", line: 3, message: "duplicate id 1 in Type Twice" },
      ],
    );
  });

  it("follows no import out of the workspace, and tells nothing of what is there", async () => {
    const outside = await workspace({ "secret.proto": "root:x:0:0 top secret\n", "real.proto": message("Outside") });
    try {
      const { universe, result } = await load(
        {
          "a.proto": message(
            "A",
            "",
            `import "../secret.proto";\nimport "${outside}/secret.proto";\nimport "x/../../y.proto";`,
          ),
          "link.proto": `->${outside}/real.proto`,
          folder: `->${outside}`,
          "broken-link.proto": "->nowhere.proto",
        },
        [outside, "../elsewhere"],
      );
      assert.equal(universe.message("Outside"), undefined);
      const told = JSON.stringify(result.status.problems);
      assert.ok(!told.includes("root:x") && !told.includes("top secret"), told);
      assert.deepEqual(
        result.status.problems.filter(({ file }) => file === "a.proto").map(({ line }) => line),
        [2, 3, 4],
      );
      assert.equal(
        result.status.problems.filter(
          ({ message: text }) => text.includes("out of the workspace") || text.includes("outside the workspace"),
        ).length,
        3,
      );
    } finally {
      await rm(outside, { recursive: true });
    }
  });

  it("is not troubled by cycles", async () => {
    const { universe, result } = await load({
      "a.proto": message("A", "B b = 1;", 'import "b.proto";'),
      "b.proto": message("B", "A a = 1;", 'import "a.proto";'),
      "self.proto": message("Self", "Self s = 1;", 'import "self.proto";'),
      "loop/again": "->..",
    });
    assert.equal(universe.message("A")?.fields.get(1)?.shape.kind, "message");
    assert.equal(universe.message("B")?.fields.get(1)?.shape.kind, "message");
    assert.deepEqual(result.status.problems, []);
  });

  it("uses the nearest of several definitions, and an import where there is one", async () => {
    const { universe, result } = await load({
      "proto/a.proto": message("Thing", "string near = 1;", "package p;"),
      "third_party/deep/copy/proto/a.proto": message("Thing", "string far = 1;", "package p;"),
      "third_party/deep/copy/proto/user.proto": message(
        "User",
        "Thing thing = 1;",
        'package p;\nimport "proto/a.proto";',
      ),
    });
    assert.equal(universe.message("p.Thing")?.fields.get(1)?.name, "near");
    const shape = universe.message("p.User")?.fields.get(1)?.shape;
    assert.equal(shape?.kind === "message" && shape.message.fields.get(1)?.name, "far");
    assert.deepEqual(
      result.status.problems.map(({ file, line }) => [file, line]),
      [["third_party/deep/copy/proto/a.proto", 3]],
    );
  });

  it("tells a missing import, and reads the rest", async () => {
    const { universe, result } = await load({
      "a.proto": message("A", "string x = 1; no.Such y = 2;", 'import "no/such.proto";'),
    });
    assert.equal(universe.message("A")?.fields.get(1)?.name, "x");
    assert.deepEqual(
      result.status.problems.map(({ file, line }) => [file, line]),
      [["a.proto", 2]],
    );
  });

  it("finds methods, with streams and types", async () => {
    const { universe } = await load({
      "s.proto":
        'syntax = "proto3"; package p; service S { rpc One(M) returns (p.M); rpc Two(stream .p.M) returns (stream Missing) {} } message M {}',
    });
    const one = universe.method("/p.S/One");
    assert.equal(typeof one?.input === "object" && one.input.fullName, "p.M");
    assert.deepEqual([one?.visitorStreams, one?.serviceStreams], [false, false]);
    const two = universe.method("/p.S/Two");
    assert.deepEqual([two?.visitorStreams, two?.serviceStreams, two?.output], [true, true, "Missing"]);
    assert.equal(universe.method("/p.S/Three"), undefined);
  });

  it("looks names up from the inside out", async () => {
    const { universe } = await load({
      "s.proto": message(
        "A",
        "message In { string inner = 1; } In one = 1; .p.In two = 2; q.In three = 3;",
        "package p.q;",
      ),
      "t.proto": message("In", "string outer = 1;", "package p;"),
      "u.proto": message("In", "string sibling = 1;", "package p.q;"),
    });
    const names = [1, 2, 3].map((number) => {
      const shape = universe.message("p.q.A")?.fields.get(number)?.shape;
      return shape?.kind === "message" ? shape.message.fields.get(1)?.name : shape?.kind;
    });
    assert.deepEqual(names, ["inner", "outer", "sibling"]);
  });

  it("reads a file of 1 MiB and not a larger one", async () => {
    const filler = `// ${"x".repeat(1024 * 1024)}\n`;
    const { universe, result } = await load({
      "big.proto": filler + message("Big"),
      "fits.proto": filler.slice(0, 1_000_000) + "\n" + message("Fits"),
    });
    assert.equal(universe.message("Big"), undefined);
    assert.notEqual(universe.message("Fits"), undefined);
    assert.deepEqual(
      result.status.problems.map(({ file }) => file),
      ["big.proto"],
    );
  });

  it("names files by their folder when there are several", async () => {
    const one = await workspace({ "a.proto": message("A") });
    const other = await workspace({ "b.proto": message("B") });
    try {
      const { universe } = await loadSchema({ workspaceFolders: [one, other], protoRoots: [] });
      assert.equal(universe.message("B")?.file.shown, `${path.basename(other)}/b.proto`);
    } finally {
      await rm(one, { recursive: true });
      await rm(other, { recursive: true });
    }
  });
});

describe("schema: buf's files", () => {
  const CASES: readonly (readonly [name: string, file: string, text: string, roots: readonly string[]])[] = [
    ["v1", "buf.yaml", "version: v1\nlint:\n  use: [DEFAULT]\n", ["."]],
    [
      "v1beta1",
      "buf.yaml",
      "version: v1beta1\nbuild:\n  roots:\n    - proto\n    - vendor # both\n",
      ["proto", "vendor"],
    ],
    ["v1beta1 without roots", "buf.yaml", "version: v1beta1\n", ["."]],
    [
      "v2",
      "buf.yaml",
      "version: v2\nmodules:\n  - path: proto\n    name: buf.build/a/b\n  - name: buf.build/c/d\n    path: 'third party'\ndeps:\n  - buf.build/x/y\n",
      ["proto", "third party"],
    ],
    [
      "v2, lists to the left",
      "buf.yaml",
      'version: "v2"\nmodules:\n- path: proto\nlint:\n  use:\n  - path: no\n',
      ["proto"],
    ],
    ["v2 without modules", "buf.yaml", "version: v2\n", ["."]],
    ["work", "buf.work.yaml", "version: v1\ndirectories:\n  - proto\n  - other\n", ["proto", "other"]],
    ["work on one line", "buf.work.yaml", 'version: v1\ndirectories: [proto, "other"]\n', ["proto", "other"]],
    ["nonsense", "buf.yaml", "]]]: {", ["."]],
  ];
  for (const [name, file, text, roots] of CASES)
    it(`reads ${name}`, () => assert.deepEqual(bufRoots(text, file), roots));

  let result: Awaited<ReturnType<typeof load>>;
  before(async () => {
    result = await load({
      "api/buf.yaml": "version: v2\nmodules:\n  - path: protos\n  - path: ../../outside\n",
      "api/protos/a.proto": message("A", "B b = 1;", 'import "x/b.proto";'),
      "api/protos/x/b.proto": message("B", "string right = 1;"),
      "other/x/b.proto": message("B", "string wrong = 1;"),
    });
  });

  it("prefers their roots, and takes none outside the workspace", () => {
    const shape = result.universe.message("A")?.fields.get(1)?.shape;
    assert.equal(shape?.kind === "message" && shape.message.fields.get(1)?.name, "right");
    assert.deepEqual(
      result.result.status.roots.filter(({ from }) => from === "buf.yaml"),
      [{ path: "api/protos", from: "buf.yaml" }],
    );
  });
});

describe("schema: positions", () => {
  it("finds declarations in spite of comments and strings", () => {
    const text = `syntax = "proto3"; // message No {
/* message Neither {
*/
message Outer {
  string message = 1 [default = "message X {"];
  message Inner { enum Deep { A = 0; } }
  oneof choice { Inner one = 2; }
}
service S {
  rpc M(Outer) returns (Outer) { option (x) = { a: 1 }; }
}
enum E
{ B = 0; }`;
    assert.deepEqual(Object.fromEntries(declarationLines(text)), {
      Outer: 4,
      "Outer.Inner": 6,
      "Outer.Inner.Deep": 6,
      S: 9,
      E: 12,
    });
  });
});
