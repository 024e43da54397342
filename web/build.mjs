// Builds the package (dist/) and the static page (site/, with model/ if it is there).
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const inside = (...parts) => join(here, ...parts);
const require = createRequire(import.meta.url);

rmSync(inside("dist"), { recursive: true, force: true });
rmSync(inside("site"), { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", here], { stdio: "inherit" });
mkdirSync(inside("site"));
await build({
  entryPoints: { page: inside("page", "page.ts"), worker: inside("src", "worker.ts") },
  outdir: inside("site"),
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2024",
  logLevel: "warning",
});
for (const name of ["index.html", "page.css"]) cpSync(inside("page", name), inside("site", name));
cpSync(require.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm"), inside("site", "ort.wasm"));
if (existsSync(inside("model"))) cpSync(inside("model"), inside("site", "model"), { recursive: true });
else console.log("no model/: python export_onnx.py --form web --model default --output web/model, and build again");
