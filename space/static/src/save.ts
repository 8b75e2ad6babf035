/* What is on the page as a file: made here, it leaves the browser only to its own disk. */
import app from "generated/app.json";
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

export function asCsv(analysis: Analysis) {
  const { labels } = app.model;
  const rows = asJson(analysis).faces.map(({ box, emotion, confidence, probabilities }, index) =>
    [index + 1, ...box, emotion, confidence, ...labels.map((label) => probabilities[label])],
  );
  return [["face", "x", "y", "width", "height", "emotion", "confidence", ...labels], ...rows]
    .map((row) => `${row.join(",")}\r\n`)
    .join("");
}

/** The picture with its faces drawn in, at the pixels of the upright original */
export async function asPng(analysis: Analysis, picture: HTMLImageElement): Promise<Blob> {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  const pen = canvas.getContext("2d")!;
  const unit = Math.max(12, Math.round(Math.max(canvas.width, canvas.height) / 60));
  const colours = getComputedStyle(document.documentElement);
  pen.drawImage(picture, 0, 0);
  pen.font = `600 ${unit}px system-ui, sans-serif`;
  analysis.faces.forEach(({ box: [x, y, width, height], probabilities }, index) => {
    const top = winner(probabilities);
    const text = tagWords(index + 1, probabilities, analysis.faces.length > app.live.tight).join(" ");
    const long = pen.measureText(text).width + unit;
    const left = Math.max(0, Math.min(x, canvas.width - long));
    const colour = colours.getPropertyValue(`--fer-${top}`);
    const tag = y > unit * 1.6 ? y - unit * 1.5 : y;
    pen.lineWidth = Math.max(2, unit / 6);
    pen.strokeStyle = colour;
    pen.strokeRect(x, y, width, height);
    pen.fillStyle = "#14161b";
    pen.fillRect(left, tag, long, unit * 1.5);
    pen.fillStyle = colour;
    pen.fillRect(left, tag, unit * 0.3, unit * 1.5);
    pen.fillStyle = "#fff";
    pen.fillText(text, left + unit * 0.6, tag + unit * 1.1);
  });
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob!), "image/png"));
}

export function download(name: string, content: Blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
