/**
 * Programs of others that conformance runs and benchmarks compare with: built once at pinned versions into
 * `.cache/peers`, where their toolchain is present. A program that cannot be had is a `MissingPeer` with the reason, which
 * the caller prints: it is never left out in silence.
 */
import { spawn } from "node:child_process";
import { chmod, cp, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

const root = path.dirname(import.meta.dirname);
const cache = path.join(root, ".cache/peers");
const exe = process.platform === "win32" ? ".exe" : "";

type Recipe =
  /** `go install`, in the module's own right. */
  | { readonly from: "go"; readonly package: string; readonly version: string }
  /** A Go module that replaces dependencies can only be built in a copy of its sources. */
  | {
      readonly from: "go-module";
      readonly module: string;
      readonly package: string;
      readonly version: string;
      readonly tags?: string;
    }
  | { readonly from: "cargo"; readonly crate: string; readonly version: string; readonly options?: readonly string[] }
  /** A folder with `node_modules`. */
  | { readonly from: "npm"; readonly packages: readonly string[]; readonly version: string }
  /** A virtual environment; the program is its Python. */
  | { readonly from: "python"; readonly packages: readonly string[]; readonly version: string }
  /** The same for Python 2, which has no `venv`: packages in a folder, and a program that looks there. */
  | { readonly from: "python2"; readonly packages: readonly string[]; readonly run: string; readonly version: string }
  /** From the system; `package` is Debian's. */
  | { readonly from: "system"; readonly package: string; readonly versionArgument: string };

const GRPC_GO = "v1.77.0";
const CONNECT = "v1.0.5";
const FRP = { from: "go-module", module: "github.com/fatedier/frp", version: "v0.61.0" } as const;

const RECIPES = {
  // 2.2.1 is the newest that the Go module proxy serves: later releases have a go.mod without /v2 in its path.
  h2spec: { from: "go", package: "github.com/summerwind/h2spec/cmd/h2spec", version: "v2.2.1+incompatible" },
  grpcurl: { from: "go", package: "github.com/fullstorydev/grpcurl/cmd/grpcurl", version: "v1.9.3" },
  "grpc-go-client": { from: "go", package: "google.golang.org/grpc/interop/client", version: GRPC_GO },
  "grpc-go-server": { from: "go", package: "google.golang.org/grpc/interop/server", version: GRPC_GO },
  /** Client of the negative HTTP/2 cases. */
  "grpc-go-http2": { from: "go", package: "google.golang.org/grpc/interop/http2", version: GRPC_GO },
  connectconformance: { from: "go", package: "connectrpc.com/conformance/cmd/connectconformance", version: CONNECT },
  referenceserver: { from: "go", package: "connectrpc.com/conformance/cmd/referenceserver", version: CONNECT },
  referenceclient: { from: "go", package: "connectrpc.com/conformance/cmd/referenceclient", version: CONNECT },
  frps: { ...FRP, package: "./cmd/frps", tags: "frps" },
  frpc: { ...FRP, package: "./cmd/frpc", tags: "frpc" },
  chisel: { from: "go-module", module: "github.com/jpillora/chisel", package: ".", version: "v1.10.1" },
  bore: { from: "cargo", crate: "bore-cli", version: "0.6.0", options: ["--locked"] },
  // Its lock file names a `time` that newer compilers refuse, so without --locked; TLS is not compared.
  rathole: {
    from: "cargo",
    crate: "rathole",
    version: "0.5.0",
    options: ["--no-default-features", "--features", "server,client"],
  },
  "dev-tunnels-ssh": {
    from: "npm",
    packages: ["@microsoft/dev-tunnels-ssh@3.12.42", "@microsoft/dev-tunnels-ssh-tcp@3.12.42"],
    version: "3.12.42",
  },
  python: {
    from: "python",
    packages: ["h2==4.3.0", "httpx[http2]==0.28.1", "grpcio==1.76.0", "wsproto==1.3.2"],
    version: "h2 4.3.0, httpx 0.28.1, grpcio 1.76.0, wsproto 1.3.2",
  },
  // Newer releases still are Python 2, and no longer work there. What it needs has its last releases for Python 2 by now.
  wstest: {
    from: "python2",
    packages: ["autobahntestsuite==0.8.2"],
    run: "from autobahntestsuite import wstest; wstest.run()",
    version: "0.8.2",
  },
  h2load: { from: "system", package: "nghttp2-client", versionArgument: "--version" },
  nghttp: { from: "system", package: "nghttp2-client", versionArgument: "--version" },
  nghttpd: { from: "system", package: "nghttp2-server", versionArgument: "--version" },
  nghttpx: { from: "system", package: "nghttp2-proxy", versionArgument: "--version" },
  wrk: { from: "system", package: "wrk", versionArgument: "-v" },
  nginx: { from: "system", package: "nginx-light", versionArgument: "-v" },
  curl: { from: "system", package: "curl", versionArgument: "--version" },
} as const satisfies Record<string, Recipe>;

export type PeerName = keyof typeof RECIPES;

export interface Peer {
  readonly name: PeerName;
  readonly version: string;
  /** The program; for npm packages the folder that holds `node_modules`. */
  readonly path: string;
}

export interface MissingPeer {
  readonly name: PeerName;
  /** Why, in one line. */
  readonly missing: string;
}

const pending = new Map<PeerName, Promise<Peer | MissingPeer>>();

/** Builds or finds `name`; the first build of one takes up to some minutes and says so on stderr. Never rejects. */
export function peer(name: PeerName): Promise<Peer | MissingPeer> {
  let found = pending.get(name);
  if (found === undefined) {
    found = make(name).catch((error: unknown) => ({ name, missing: (error as Error).message }));
    pending.set(name, found);
  }
  return found;
}

/** The path of `name`. Throws with the reason when it cannot be had. */
export async function required(name: PeerName): Promise<string> {
  const found = await peer(name);
  if ("missing" in found) throw new Error(`${name}: ${found.missing}`);
  return found.path;
}

async function make(name: PeerName): Promise<Peer | MissingPeer> {
  const recipe: Recipe = RECIPES[name];
  if (recipe.from === "system") return system(name, recipe);
  // The cached file carries name and version, so that another version is another file.
  const target = path.join(cache, `${name}-${recipe.version.replaceAll(/[^A-Za-z0-9.+]/g, "_")}`);
  const program =
    recipe.from === "npm"
      ? target
      : recipe.from === "python"
        ? path.join(target, process.platform === "win32" ? "Scripts/python.exe" : "bin/python")
        : recipe.from === "python2"
          ? path.join(target, "run")
          : `${target}${exe}`;
  const done: Peer = { name, version: recipe.version, path: program };
  if (await exists(program)) return done;
  console.error(`Building ${name} ${recipe.version}, once …`);
  await mkdir(cache, { recursive: true });
  const scratch = path.join(cache, `.building-${name}-${process.pid}`);
  try {
    await mkdir(scratch, { recursive: true });
    await build(recipe, scratch, program, target);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return done;
}

async function build(recipe: Recipe, scratch: string, program: string, target: string): Promise<void> {
  switch (recipe.from) {
    case "go": {
      await run("go", ["install", `${recipe.package}@${recipe.version}`], { GOBIN: scratch });
      await rename(await onlyFile(scratch), program);
      break;
    }
    case "go-module": {
      const told = await run("go", ["mod", "download", "-json", `${recipe.module}@${recipe.version}`]);
      const { Dir: sources } = JSON.parse(told) as { readonly Dir: string };
      const copy = path.join(scratch, "sources");
      await cp(sources, copy, { recursive: true });
      await writable(copy);
      const built = path.join(scratch, "built");
      const tags = recipe.tags === undefined ? [] : ["-tags", recipe.tags];
      await run("go", ["build", ...tags, "-o", built, recipe.package], {}, copy);
      await rename(built, program);
      break;
    }
    case "cargo": {
      const arguments_ = [
        "install",
        recipe.crate,
        "--version",
        recipe.version,
        "--root",
        scratch,
        ...(recipe.options ?? []),
      ];
      await run("cargo", arguments_, { CARGO_TARGET_DIR: path.join(scratch, "target") });
      await rename(await onlyFile(path.join(scratch, "bin")), program);
      break;
    }
    case "npm":
      await run("npm", ["install", "--prefix", scratch, "--no-audit", "--no-fund", ...recipe.packages]);
      await rename(scratch, target);
      break;
    case "python":
      // A virtual environment knows its place, so it is made there.
      try {
        await run("python3", ["-m", "venv", target]);
        await run(program, ["-m", "pip", "install", "--quiet", ...recipe.packages]);
      } catch (error) {
        await rm(target, { recursive: true, force: true });
        throw error;
      }
      break;
    case "python2": {
      const python = await python2();
      await run(python, ["-m", "pip", "install", "--quiet", "--target", scratch, ...recipe.packages]);
      // `addsitedir` reads what namespace packages need, but puts the folder last: the system may have others.
      const place = JSON.stringify(target);
      const begin = `import site, sys\nsite.addsitedir(${place})\nsys.path.insert(0, ${place})\n`;
      await writeFile(path.join(scratch, "run"), `#!${python}\n${begin}${recipe.run}\n`, { mode: 0o755 });
      await rename(scratch, target);
      break;
    }
    case "system":
      break;
  }
}

/** Python 2.7, of the system or of pyenv. */
async function python2(): Promise<string> {
  const versions = path.join(os.homedir(), ".pyenv/versions");
  const installed = (await readdir(versions).catch(() => [])).filter((name) => name.startsWith("2.7"));
  for (const candidate of ["python2.7", ...installed.map((name) => path.join(versions, name, "bin/python2.7"))]) {
    const told = await run(candidate, ["-c", "import sys; print(sys.executable)"]).catch(() => "");
    if (told !== "") return told.trim();
  }
  throw new Error("Python 2.7 is not installed");
}

async function system(
  name: PeerName,
  recipe: Extract<Recipe, { readonly from: "system" }>,
): Promise<Peer | MissingPeer> {
  const places = [...(process.env["PATH"] ?? "").split(path.delimiter), "/usr/sbin", "/usr/local/sbin"];
  for (const place of places) {
    const program = path.join(place, `${name}${exe}`);
    if (!(await exists(program))) continue;
    const told = await run(program, [recipe.versionArgument]).catch((error: unknown) => (error as Error).message);
    return { name, version: /\d+(?:\.\d+)+/.exec(told)?.[0] ?? "unknown", path: program };
  }
  return { name, missing: `not installed (Debian: apt-get install ${recipe.package})` };
}

/** What the program printed, stdout and stderr. Rejects with the last line of it. */
function run(
  command: string,
  arguments_: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  cwd: string = os.tmpdir(),
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, arguments_, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32" && command === "npm",
    });
    let output = "";
    const collect = (text: string): void => {
      output += text;
    };
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("error", (error: NodeJS.ErrnoException) =>
      reject(new Error(error.code === "ENOENT" ? `${command} is not installed` : error.message)),
    );
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${arguments_[0] ?? ""} failed: ${output.trim().split("\n").at(-1) ?? ""}`));
    });
  });
}

async function onlyFile(folder: string): Promise<string> {
  const [file, ...others] = await readdir(folder);
  if (file === undefined || others.length > 0) throw new Error(`One program was expected in ${folder}`);
  return path.join(folder, file);
}

/** Go keeps its module cache read-only. */
async function writable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) await writable(file);
    else await chmod(file, 0o644);
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

// As a program: builds what is named, or everything.
if (import.meta.filename === process.argv[1]) {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(RECIPES);
  for (const name of names) {
    if (!(name in RECIPES)) throw new Error(`No such program: ${name}`);
    const found = await peer(name as PeerName);
    console.log(
      "missing" in found
        ? `${name}: missing, ${found.missing}`
        : `${name} ${found.version}  ${path.relative(root, found.path)}`,
    );
  }
}
