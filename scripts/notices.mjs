/** Licences of what is bundled: they ask that their texts come along. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

/** Bundled beside the code: the icon font, and Google's `.proto` files (see capture/protos/). */
const FONTS = ["@vscode/codicons"];
const OWN_COPIES = "capture/protos";

/**
 * @param {string} root folder of the project
 * @param {import("esbuild").BuildResult<{ metafile: true }>[]} results
 * @returns {Promise<string>} one section a package, sorted by name
 */
export async function notices(root, results) {
  const packages = new Set(FONTS);
  for (const result of results)
    for (const file of Object.keys(result.metafile.inputs)) {
      const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
      if (name !== undefined) packages.add(name);
    }
  const sections = ["Portlight contains the following software.\n"];
  for (const name of [...packages].sort()) {
    const folder = path.join(root, "node_modules", name);
    const manifest = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? "" : await readFile(path.join(folder, file), "utf8");
    sections.push(`${name} ${manifest.version} (${manifest.license})\n\n${text.trim()}\n`);
  }
  for (const entry of (await readdir(path.join(root, OWN_COPIES)))
    .filter((file) => file.startsWith("LICENSE"))
    .sort()) {
    const text = await readFile(path.join(root, OWN_COPIES, entry), "utf8");
    sections.push(`Protocol Buffers definitions of Google (${entry})\n\n${text.trim()}\n`);
  }
  return sections.join(`\n${"-".repeat(80)}\n\n`);
}
