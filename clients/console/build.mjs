// Builds what the dispatch door serves: one script, one style sheet, one page. `npm run build`, or `make console`.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const SERVED = "../../services/gridsignal_services/console/served";
const MOST = 300 * 1024;

/** A hash over everything that decides what is built; tests/tidy/test_the_console_is_current.py makes the same. */
function sources() {
  const names = readdirSync("src", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).replaceAll("\\", "/"));
  const hash = createHash("sha256");
  for (const name of [...names, "build.mjs", "package-lock.json", "tsconfig.json"].sort()) {
    hash.update(name).update("\0").update(readFileSync(name)).update("\0");
  }
  return hash.digest("hex");
}

mkdirSync(SERVED, { recursive: true });
await build({
  entryPoints: { console: "src/main.tsx" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome110", "firefox115", "safari16.4"],
  legalComments: "eof",
  outdir: SERVED,
  logLevel: "warning",
});
const licences = ["preact", "uplot"].map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8")}`);
writeFileSync(`${SERVED}/licences.txt`, licences.join("\n"));
for (const name of ["index.html", "icon.svg"]) copyFileSync(`src/${name}`, `${SERVED}/${name}`);
writeFileSync(`${SERVED}/sources.sha256`, `${sources()}\n`);

let total = 0;
for (const name of ["index.html", "console.js", "console.css", "icon.svg"]) {
  const packed = gzipSync(readFileSync(`${SERVED}/${name}`), { level: 9 }).length;
  total += packed;
  console.log(`${name.padEnd(12)} ${String(packed).padStart(7)} bytes gzipped`);
}
console.log(`${"in all".padEnd(12)} ${String(total).padStart(7)} of ${MOST}`);
if (total > MOST) process.exit(1);
