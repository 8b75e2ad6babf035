/* ONNX Runtime Web and the two networks: fetched with progress, unpacked, checked, started. Runs in the worker. */
import app from "generated/app.json";
import type { InferenceSession, Tensor } from "onnxruntime-common";
import { softmax } from "./softmax";

export type Backend = "wasm" | "webgpu";
type AssetName = keyof typeof app.assets;
type Progress = (loaded: number, total: number) => void;

/** What both ways of running ONNX Runtime have of its module */
type Runtime = Pick<typeof import("onnxruntime-web"), "env" | "InferenceSession" | "Tensor">;

const CHECK_TOLERANCE = 0.01; // in probability

export class Network {
  /** Of the outputs of the last run */
  shapes: Record<string, readonly number[]> = {};

  constructor(
    private readonly session: InferenceSession,
    private readonly tensor: Runtime["Tensor"],
  ) {}

  /** Every output for the one input */
  async run(values: Float32Array, shape: number[]): Promise<Record<string, Float32Array>> {
    const input = new this.tensor("float32", values, shape);
    const outputs: Record<string, Tensor> = await this.session.run({ [this.session.inputNames[0]]: input });
    this.shapes = Object.fromEntries(Object.entries(outputs).map(([name, { dims }]) => [name, dims]));
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
  }
}

export interface Networks {
  classifier: Network;
  detector: Network;
  /** For people: "WebGPU", "WebAssembly, 4 threads" */
  description: string;
  /** Paths of the assets that were fetched, for a backend that failed too: the next visit asks for the same */
  used: string[];
}

/** WebGPU where the machine has a GPU for it; a software adapter would be slower than WebAssembly */
async function preferredBackend(): Promise<Backend> {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter?.info && !adapter.info.isFallbackAdapter ? "webgpu" : "wasm";
}

/**
 * Threads need a page that is isolated from other origins: sw.ts sees to that from the second visit on. One core is left
 * to the page: on two, a second thread made the live picture slower (benchmarks/README.md).
 */
const threads = () => (self.crossOriginIsolated ? Math.min(4, Math.max(1, navigator.hardwareConcurrency - 1)) : 1);

/** Load everything; `base` is the page's address, `wanted` a backend that it insists on */
export async function loadNetworks(base: string, wanted: Backend | null, progress: Progress): Promise<Networks> {
  const backend = wanted ?? (await preferredBackend());
  const asked: Asked = new Map();
  const load = loader(base, asked, progress);
  const started = await start(base, backend, load).catch((error) => {
    if (backend !== "webgpu" || wanted) throw error;
    console.warn("WebGPU failed, WebAssembly takes over:", error);
    return start(base, "wasm", load);
  });
  return { ...started, used: [...asked.keys()].map((name) => app.assets[name].path) };
}

type Load = (name: AssetName) => Promise<Uint8Array<ArrayBuffer>>;
type Asked = Map<AssetName, ReturnType<Load>>;

/** Loads each asset once, also where a second backend asks for the same networks */
function loader(base: string, asked: Asked, progress: Progress): Load {
  let [loaded, total] = [0, 0];
  const count = (bytes: number) => progress((loaded += bytes), total);
  return (name) => {
    let bytes = asked.get(name);
    if (!bytes) {
      total += app.assets[name].bytes;
      bytes = unpacked(base, name, count);
      asked.set(name, bytes);
    }
    return bytes;
  };
}

async function start(base: string, backend: Backend, load: Load): Promise<Omit<Networks, "used">> {
  const names: AssetName[] = [backend, "model", "detector"];
  const [wasm, model, yunet] = names.map(load);
  Promise.all([wasm, model, yunet]).catch(() => {}); // they are awaited below, one after the other
  const ort: Runtime =
    backend === "webgpu" ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  ort.env.wasm.wasmBinary = await wasm;
  ort.env.wasm.wasmPaths = { mjs: new URL(app.assets[`${backend}Glue`].path, base).href };
  ort.env.wasm.numThreads = threads();
  const options: InferenceSession.SessionOptions = { executionProviders: [backend] };
  const made = async (bytes: Uint8Array<ArrayBuffer>) =>
    new Network(await ort.InferenceSession.create(bytes, options), ort.Tensor);
  const detector = await made(await yunet); // starts while the larger model is still on its way
  const classifier = await made(await model);
  await check(classifier);
  const workers = ort.env.wasm.numThreads ?? 1;
  const description = backend === "webgpu" ? "WebGPU" : `WebAssembly${workers > 1 ? `, ${workers} threads` : ""}`;
  return { classifier, detector, description };
}

/** Does this machine compute what the build computed? Also the first run, so that nobody waits for it. */
async function check(classifier: Network) {
  const { inputSize } = app.model;
  const values = Float32Array.from({ length: inputSize.reduce((a, b) => a * b) }, (_, i) => ((i * 7919) % 256) / 128 - 1);
  const { logits } = await classifier.run(values, [1, ...inputSize]);
  const [found, expected] = [softmax([...logits]), softmax(app.model.checkLogits)];
  const difference = Math.max(...found.map((p, index) => Math.abs(p - expected[index])));
  if (!(difference < CHECK_TOLERANCE)) throw new Error(`the network's numbers are off by ${difference.toFixed(3)}`);
}

/** A packed asset's bytes. What a cache gives damaged is asked for once more, past every cache (sw.ts) */
async function unpacked(base: string, name: AssetName, count: (bytes: number) => void) {
  let got = 0;
  const counted = (more: number) => {
    got += more;
    count(more);
  };
  try {
    return await fetched(base, name, counted, "default");
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    console.warn("Asked for again:", error);
    count(-got);
    return fetched(base, name, count, "reload");
  }
}

class Damaged extends Error {}

async function fetched(base: string, name: AssetName, count: (bytes: number) => void, cache: RequestCache) {
  const { path, sha256 } = app.assets[name];
  const response = await fetch(new URL(path, base), { cache });
  if (!response.ok || !response.body) throw new Error(`${path}: ${response.status}`);
  const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      count(chunk.byteLength);
      controller.enqueue(chunk);
    },
  });
  const packed = await new Response(response.body.pipeThrough(counter)).arrayBuffer();
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    const stream = new Response(packed).body!.pipeThrough(new DecompressionStream("gzip"));
    bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Damaged(`${path} is damaged`); // not even gzip: a connection's own end is an error before
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== sha256) throw new Damaged(`${path} is damaged`);
  return bytes;
}
