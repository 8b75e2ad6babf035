/* Everything that computes, away from the page, which stays responsive. */
import { analyse, LIVE_SIDE } from "./analysis";
import { decode, pixelsOf, Refusal } from "./decode";
import { occlusionMap } from "./occlusion";
import type { Answer, Question } from "./protocol";
import { loadNetworks, type Networks } from "./runtime";

declare const self: DedicatedWorkerGlobalScope;

const answer = (message: Answer) => self.postMessage(message);
const reason = (error: unknown) => (error instanceof Error ? error.message : String(error));

let networks: Promise<Networks>;
let turn: Promise<void> = Promise.resolve(); // one question after the other

function load({ base, backend }: Extract<Question, { kind: "load" }>) {
  networks = loadNetworks(base, backend, (loaded, total) => answer({ kind: "progress", loaded, total }));
  networks.then(
    ({ description, used }) => answer({ kind: "ready", description, used }),
    (error) => answer({ kind: "failed", reason: reason(error) }),
  );
}

async function worked(question: Exclude<Question, { kind: "load" }>) {
  const loaded = await networks;
  if (question.kind === "picture") return analyse(await decode(question.file), loaded, { whole: question.whole });
  if (question.kind === "occlusion") return occlusionMap(loaded.classifier, question.crop, question.label);
  const raster = pixelsOf(question.bitmap);
  return analyse({ raster, size: [raster.width, raster.height] }, loaded, { side: LIVE_SIDE });
}

async function work(question: Exclude<Question, { kind: "load" }>) {
  const { id } = question;
  try {
    answer({ kind: "done", id, result: await worked(question) });
  } catch (error) {
    const refusal = error instanceof Refusal ? error : { key: "picture_failed", values: { reason: reason(error) } };
    answer({ kind: "refused", id, key: refusal.key, values: refusal.values });
  }
}

self.onmessage = ({ data }: MessageEvent<Question>) => {
  if (data.kind === "load") load(data);
  else turn = turn.then(() => work(data));
};
