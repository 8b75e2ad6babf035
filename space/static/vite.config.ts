/* What space/static/build.py runs, with three folders in the environment. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const { FER_GENERATED, FER_PUBLIC, FER_OUTPUT } = process.env;
if (!FER_GENERATED || !FER_PUBLIC || !FER_OUTPUT) throw new Error("run python -m space.static.build, which runs Vite");
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "./", // any folder of any host
  publicDir: FER_PUBLIC,
  resolve: {
    alias: { generated: FER_GENERATED },
    // ONNX Runtime without its WebAssembly: the build packs that, the page fetches it with a progress bar.
    conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "production"],
  },
  worker: { format: "es" },
  build: {
    outDir: FER_OUTPUT,
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0, // the page's policy allows no data: addresses
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: here("index.html"), sw: here("src/sw.ts") },
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
});
