/* Lets Node import the page's sources as Vite does: without suffixes, and generated/app.json from FER_GENERATED. */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";

registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith("generated/")) {
      const { href } = pathToFileURL(specifier.replace("generated", process.env.FER_GENERATED));
      return { url: href, format: "json", shortCircuit: true };
    }
    const bare = specifier.startsWith("./") && !specifier.endsWith(".ts");
    return next(bare ? `${specifier}.ts` : specifier, context);
  },
  load(url, context, next) {
    if (!url.endsWith("app.json")) return next(url, context);
    return { format: "module", source: `export default ${readFileSync(new URL(url), "utf8")}`, shortCircuit: true };
  },
});
