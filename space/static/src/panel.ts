/* What photo and webcam share: names, tags, bars, and the maps over a face. The classes are those of space/style.css. */
import app from "generated/app.json";
import { type FaceEmotion, winner } from "./analysis";
import { h, svg } from "./dom";
import { emotionName, percent, say } from "./texts";

/** The most probable class's name for people */
export const topName = (probabilities: number[]) => emotionName(app.model.labels[winner(probabilities)]);

/** A sentence about a face: its number, its expression, how sure the network is */
export function faceTitle(number: number, probabilities: number[], key = "face_title") {
  return say(key, { number, emotion: topName(probabilities), percent: percent(Math.max(...probabilities)) });
}

/** What stands at a face: its number, and where there is room its expression and probability */
export function tagWords(number: number, probabilities: number[], crowded = false): string[] {
  return crowded ? [`${number}`] : [`${number}`, topName(probabilities), percent(Math.max(...probabilities))];
}

/** A box over a picture of `size`, with its tag on the side where there is room; `tag` is an element name */
export function boxElement<Tag extends "label" | "div">(
  tag: Tag,
  [x, y, width, height]: number[],
  size: [number, number],
  probabilities: number[],
  words: string[],
): HTMLElementTagNameMap[Tag] {
  const share = (value: number, length: number) => `${((100 * value) / length).toFixed(3)}%`;
  const place =
    `left:${share(x, size[0])};top:${share(y, size[1])};width:${share(width, size[0])};` +
    `height:${share(height, size[1])};--c:var(--fer-${winner(probabilities)})`;
  const inside = y / size[1] < 0.06 ? " fer-inside" : "";
  const left = (x + width / 2) / size[0] > 0.6 ? " fer-left" : "";
  const parts = words.flatMap((word, index) => [h("span", { class: index === 1 ? "fer-name" : "" }, word), " "]);
  return h(tag, { class: "fer-box", style: place }, h("span", { class: `fer-tag${inside}${left}` }, ...parts));
}

/** A table of the probabilities with a bar in each row; `update` moves them */
export class Bars {
  readonly element: HTMLTableElement;
  private readonly rows = app.model.labels.map((label, index) => {
    const bar = h("span", { class: "fer-bar" });
    const value = h("td", { class: "fer-value" });
    const name = h("th", { scope: "row" }, emotionName(label));
    const row = h("tr", { style: `--c:var(--fer-${index})` }, name, h("td", { class: "fer-track" }, bar), value);
    return { row, bar, value };
  });

  constructor() {
    const [emotion, probability] = ["emotion", "probability"].map((key) => h("th", { scope: "col" }, say(key)));
    const head = h("thead", {}, h("tr", {}, emotion, h("td"), probability));
    this.element = h("table", { class: "fer-bars" }, head, h("tbody", {}, ...this.rows.map(({ row }) => row)));
  }

  update(probabilities: number[]) {
    const top = winner(probabilities);
    this.rows.forEach(({ row, bar, value }, index) => {
      row.className = index === top ? "fer-top" : "";
      bar.style.width = `${(probabilities[index] * 100).toFixed(1)}%`;
      value.textContent = percent(probabilities[index]);
    });
  }
}

/** Rectangles of `grid` [row][column] of opacities over a square of the crop's side */
export function cellRects(grid: number[][], titles?: string[][]): SVGRectElement[] {
  const [width, height] = [app.crop.side / grid[0].length, app.crop.side / grid.length];
  return grid.flatMap((line, row) =>
    line.map((opacity, column) => {
      const place = { x: column * width, y: row * height, width, height, "fill-opacity": opacity.toFixed(2) };
      const title = svg("title");
      title.textContent = titles?.[row][column] ?? "";
      return svg("rect", place, ...(titles ? [title] : []));
    }),
  );
}

/** Opacities for evidence: what speaks for the class, relative to the strongest cell; as in space/result_html.py */
function opacities(grid: number[][]): number[][] {
  const sorted = grid.flat().sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  const floor = Math.min(0, median);
  const top = Math.max(sorted[sorted.length - 1] - floor, 1e-9);
  return grid.map((line) => line.map((value) => (0.6 * Math.max(0, value - floor)) / top));
}

/** Over the face's crop: its heat map, and the place of its occlusion map */
export function mapGroups({ cam, probabilities }: FaceEmotion): SVGGElement[] {
  const cells = cam ? cellRects(opacities(cam[winner(probabilities)])) : [];
  return [svg("g", { class: "fer-cam" }, ...cells), svg("g", { class: "fer-occlusion" })];
}

/** The crop as the network saw it, under its maps */
export function cropElement(face: FaceEmotion): HTMLElement {
  const { side } = app.crop;
  const canvas = h("canvas", { width: side, height: side, role: "img", "aria-label": say("crop_alt") });
  const pixels = new ImageData(side, side);
  face.crop.forEach((grey, index) => pixels.data.set([grey, grey, grey, 255], 4 * index));
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
  const maps = svg("svg", { viewBox: `0 0 ${side} ${side}`, "aria-hidden": "true" }, ...mapGroups(face));
  return h("div", { class: "fer-crop" }, canvas, maps);
}
