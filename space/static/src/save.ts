/* What space/save.js makes files of: the answer as the app's API words it, and the faces as they are drawn. */
import app from "generated/app.json";
import { annotated } from "../../save.js";
import { type Analysis, winner } from "./analysis";
import { tagWords } from "./panel";

const rounded = (value: number) => Math.round(value * 1e6) / 1e6;

/** The same as the app's /predict answers: plain numbers, boxes in pixels of the upright original */
export function asJson(analysis: Analysis) {
  const { labels, name, architecture, revision, sha256 } = app.model;
  return {
    faces: analysis.faces.map(({ box, probabilities }) => ({
      box,
      emotion: labels[winner(probabilities)],
      confidence: rounded(Math.max(...probabilities)),
      probabilities: Object.fromEntries(labels.map((label, index) => [label, rounded(probabilities[index])])),
    })),
    model: { name, architecture, revision, sha256 },
    detector: analysis.detector,
    timing_ms: Object.fromEntries(Object.entries(analysis.timing).map(([part, ms]) => [part, Math.round(ms * 100) / 100])),
  };
}

/** The picture with its faces drawn in, at the upright original's pixels or as many as the browser can draw */
export function asPng({ faces }: Analysis, picture: HTMLImageElement): Promise<Blob | null> {
  const colours = getComputedStyle(document.documentElement);
  const boxes = faces.map(({ box, probabilities }, index) => ({
    box,
    text: tagWords(index + 1, probabilities, faces.length > app.live.tight).join(" "),
    colour: colours.getPropertyValue(`--fer-${winner(probabilities)}`),
  }));
  return annotated(picture, boxes);
}
