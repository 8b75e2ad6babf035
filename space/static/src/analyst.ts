/* The page's side of the worker. */
import type { Analysis, FaceEmotion } from "./analysis";
import { Refusal } from "./decode";
import type { Answer, Question } from "./protocol";
import type { Backend } from "./runtime";

export interface Listener {
  progress(loaded: number, total: number): void;
  ready(description: string, used: string[]): void;
  failed(reason: string): void;
}

type Pending = { resolve(result: any): void; reject(refusal: Refusal): void }; // the question's kind says which result

export class Analyst {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly pending = new Map<number, Pending>();
  private count = 0;
  private dead: Refusal | null = null; // the worker could not be loaded, or broke: nothing will be answered

  constructor(backend: Backend | null, listener: Listener) {
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (data.kind === "progress") listener.progress(data.loaded, data.total);
      else if (data.kind === "ready") listener.ready(data.description, data.used);
      else if (data.kind === "failed") listener.failed(data.reason);
      else {
        const asked = this.pending.get(data.id);
        this.pending.delete(data.id);
        if (data.kind === "done") asked?.resolve(data.result);
        else asked?.reject(new Refusal(data.key, data.values));
      }
    };
    this.worker.onerror = (event) => {
      const reason = event.message || "worker";
      listener.failed(reason);
      this.dead = new Refusal("picture_failed", { reason });
      for (const { reject } of this.pending.values()) reject(this.dead);
      this.pending.clear();
    };
    this.send({ kind: "load", base: document.baseURI, backend });
  }

  /** A picture's file; rejects with a Refusal */
  picture(file: Blob, whole = false): Promise<Analysis> {
    return this.asked((id) => this.send({ kind: "picture", id, file, whole }));
  }

  /** One picture of a video; the bitmap is given away */
  frame(bitmap: ImageBitmap): Promise<Analysis> {
    return this.asked((id) => this.send({ kind: "frame", id, bitmap }, [bitmap]));
  }

  /** Drops in the probability of class `label` [row][column], for a face's crop */
  occlusion(crop: FaceEmotion["crop"], label: number): Promise<number[][]> {
    return this.asked((id) => this.send({ kind: "occlusion", id, crop, label }));
  }

  private asked<Result>(ask: (id: number) => void): Promise<Result> {
    if (this.dead) return Promise.reject(this.dead);
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      ask(id);
    });
  }

  private send(question: Question, transfer: Transferable[] = []) {
    this.worker.postMessage(question, transfer);
  }
}
