/* What the page and its worker say to each other. */
import type { Analysis } from "./analysis";
import type { Raster } from "./resample";
import type { Backend } from "./runtime";

export type Question =
  | { kind: "load"; base: string; backend: Backend | null }
  | { kind: "picture"; id: number; file: Blob; whole: boolean }
  | { kind: "frame"; id: number; bitmap: ImageBitmap }
  | { kind: "occlusion"; id: number; crop: Raster["data"]; label: number };

export type Answer =
  | { kind: "progress"; loaded: number; total: number }
  | { kind: "ready"; description: string; used: string[] }
  | { kind: "failed"; reason: string }
  | { kind: "done"; id: number; result: Analysis | number[][] }
  | { kind: "refused"; id: number; key: string; values: Record<string, string | number> };
