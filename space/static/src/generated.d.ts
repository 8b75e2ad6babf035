/* What generate.py and build.py write. */
declare module "generated/app.json" {
  interface Asset {
    /** Relative to the page */
    path: string;
    /** As they travel, packed */
    bytes: number;
    /** Of the unpacked file */
    sha256: string;
  }
  type Numbers<Name extends string> = Record<Name, number>;
  const app: {
    model: {
      name: string;
      revision: string | null;
      sha256: string;
      architecture: string;
      labels: string[];
      /** Channels, height, width */
      inputSize: [number, number, number];
      mean: number[];
      std: number[];
      /** What the network says to the input of `check` in runtime.ts */
      checkLogits: number[];
      interpolation: "bilinear" | "bicubic" | "lanczos";
    };
    detector: { name: string } & Numbers<
      "side" | "secondSide" | "border" | "smallestSide" | "centreX" | "centreY" | "width"
    >;
    crop: Numbers<"side" | "workingSide" | "levelEnough">;
    tracking: Numbers<"smoothingSeconds" | "boxSeconds" | "forgetSeconds" | "historySeconds" | "leastOverlap">;
    live: Numbers<"shown" | "rateSeconds" | "tight"> & { curve: [number, number] };
    limits: Numbers<"megabytes" | "megapixels" | "decodedMegapixels" | "faces">;
    assets: Record<"model" | "detector" | "wasm" | "webgpu" | "wasmGlue" | "webgpuGlue", Asset>;
    /** Portraits to try, with a small picture of each */
    examples: { picture: string; thumbnail: string }[];
    /** An SVG beside the title */
    mark: string;
    /** Language to the path of its sentences */
    texts: Record<string, string>;
  };
  export default app;
}
declare module "*.css";
