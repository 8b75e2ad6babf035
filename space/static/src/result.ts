/* The result of one picture: the picture with its faces, a list to choose from, a panel for each; as in the app. */
import app from "generated/app.json";
import { csv, save } from "../../save.js";
import { type Analysis, type FaceEmotion, WHOLE, winner } from "./analysis";
import type { Analyst } from "./analyst";
import { announce } from "./announcer";
import { Refusal } from "./decode";
import { h, svg } from "./dom";
import { boxElement, Bars, cellRects, cropElement, faceTitle, mapGroups, tagWords, topName } from "./panel";
import { asJson, asPng } from "./save";
import { facesFound, percent, say } from "./texts";

const FLAT = 0.01; // an occlusion map whose greatest drop is less says nothing
const RIM = 6; // pixels of the mark of the focus around a row

/** The picture with a labelled box for each face (a click chooses it) and the chosen face's maps */
function stage({ faces, size }: Analysis, address: string): HTMLElement {
  const crowded = faces.length > app.live.tight;
  const boxes = faces.map(({ box, probabilities }, index) => {
    const element = boxElement("label", box, size, probabilities, tagWords(index + 1, probabilities, crowded));
    element.htmlFor = `face-${index}`;
    element.dataset.face = `${index}`;
    element.ariaHidden = "true";
    return element;
  });
  const maps = faces.map((face, index) => {
    const { centre: [x, y], side, angle } = face.frame;
    const place =
      `rotate(${angle.toFixed(2)} ${x.toFixed(1)} ${y.toFixed(1)}) ` +
      `translate(${(x - side / 2).toFixed(1)} ${(y - side / 2).toFixed(1)}) scale(${(side / app.crop.side).toFixed(4)})`;
    return svg("g", { class: "fer-of", "data-face": index, transform: place, hidden: index > 0 }, ...mapGroups(face));
  });
  const words = faces.map(({ probabilities }, index) => faceTitle(index + 1, probabilities, "face_alt")).join(" ");
  return h(
    "div",
    { class: faces.length === 1 ? "fer-stage fer-alone" : "fer-stage", style: `--ratio:${(size[0] / size[1]).toFixed(4)}` },
    h("img", { src: address, alt: say("picture_alt", { faces: words || say("no_face") }) }),
    svg("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, "aria-hidden": "true" }, ...maps),
    ...boxes,
  );
}

/** One face: the crop that the network saw under its maps, the title, the bars */
function panel(face: FaceEmotion, index: number): HTMLElement {
  const top = winner(face.probabilities);
  const bars = new Bars();
  bars.update(face.probabilities);
  const grid = face.cam?.[top];
  const emotion = topName(face.probabilities);
  const note = grid ? say("heat_note", { emotion, rows: grid.length, columns: grid[0].length }) : "";
  const title = h("div", {}, h("h3", {}, faceTitle(index + 1, face.probabilities)));
  title.append(h("p", { class: "fer-caption" }, say("crop_caption")));
  return h(
    "section",
    { class: "fer-panel fer-of", "data-face": index, style: `--c:var(--fer-${top})`, hidden: index > 0 },
    h("div", { class: "fer-face" }, cropElement(face), title),
    bars.element,
    h("p", { class: "fer-note fer-cam-note" }, note),
    h("p", { class: "fer-note fer-occlusion-note", role: "status" }),
  );
}

/** A radio button for each face: the arrow keys and a screen reader work without any code of ours */
function chooser({ faces }: Analysis): HTMLElement {
  const rows = faces.flatMap(({ probabilities }, index) => [
    h("input", { type: "radio", name: "face", id: `face-${index}`, value: index, checked: index === 0 }),
    h(
      "label",
      { for: `face-${index}`, style: `--c:var(--fer-${winner(probabilities)})` },
      h("span", { class: "fer-number" }, `${index + 1}`),
      ` ${topName(probabilities)} `,
      h("span", { class: "fer-value" }, percent(Math.max(...probabilities))),
    ),
  ]);
  return h("fieldset", { class: "fer-faces" }, h("legend", {}, say("choose_face")), ...rows);
}

/** Which map lies over the faces: none, the network's own, or the one that is computed on request */
function mapSwitch({ faces }: Analysis): HTMLElement {
  const kinds = Object.entries({ off: "map_off", cam: "heat_map", occlusion: "occlusion" });
  const choices = kinds
    .filter(([kind]) => kind !== "cam" || faces[0].cam)
    .flatMap(([kind, words]) => [
      h("input", { type: "radio", name: "map", id: `map-${kind}`, value: kind, checked: kind === "off" }),
      h("label", { for: `map-${kind}` }, say(words)),
    ]);
  return h("fieldset", { class: "fer-maps" }, h("legend", {}, say("map_title")), ...choices);
}

/** The buttons that save, and the place of a sentence for a picture that the browser can't draw */
function saveTools(analysis: Analysis, result: HTMLElement): HTMLElement[] {
  const note = h("p", { class: "fer-note fer-save-note", role: "status" });
  const files: Record<string, () => Promise<Blob | null> | Blob> = {
    png: () => asPng(analysis, result.querySelector<HTMLImageElement>(".fer-stage img")!),
    csv: () => new Blob([csv(asJson(analysis))], { type: "text/csv" }),
    json: () => new Blob([JSON.stringify(asJson(analysis), null, 2)], { type: "application/json" }),
  };
  const buttons = Object.entries(files).map(([kind, make]) => {
    const click = async () => {
      const blob = await make();
      note.textContent = blob ? "" : say("picture_not_saved");
      if (blob) save(`faces.${kind}`, blob);
    };
    return h("button", { type: "button", class: "fer-save", "data-kind": kind, click }, say(`save_${kind}`));
  });
  return [h("div", { class: "fer-tools" }, ...buttons), note];
}

/** Cover one part of the chosen face after the other, once, and show how far the probability falls */
async function occlude(result: HTMLElement, index: number, face: FaceEmotion, analyst: Analyst) {
  const note = result.querySelector<HTMLElement>(`.fer-panel[data-face="${index}"] .fer-occlusion-note`)!;
  if (note.dataset.asked) return;
  note.dataset.asked = "yes";
  note.textContent = say("occlusion_wait");
  const top = winner(face.probabilities);
  let drops: number[][];
  try {
    drops = await analyst.occlusion(face.crop, top);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    delete note.dataset.asked; // the next choice asks again
    note.textContent = say(error.key, error.values);
    return;
  }
  const flat = drops.flat();
  const greatest = Math.max(...flat);
  const shades = drops.map((row) => row.map((drop) => (0.75 * Math.max(0, drop)) / Math.max(greatest, FLAT)));
  const titles = drops.map((row) => row.map((drop) => say("percent", { number: Math.round(-100 * drop) })));
  for (const group of result.querySelectorAll(`[data-face="${index}"] .fer-occlusion`)) {
    group.replaceChildren(...cellRects(shades, titles));
  }
  const emotion = topName(face.probabilities);
  const [at, side, before] = [flat.indexOf(greatest), drops.length, face.probabilities[top]];
  note.textContent =
    greatest < FLAT
      ? say("occlusion_flat", { emotion })
      : say("occlusion_done", {
          emotion,
          side,
          row: Math.floor(at / side) + 1,
          column: (at % side) + 1,
          before: percent(before),
          after: percent(Math.max(0, before - greatest)),
        });
}

/** Everything about one picture; `address` is that of its pixels, in a file */
export function resultElement(analysis: Analysis, address: string, analyst: Analyst): HTMLElement {
  const { faces, timing } = analysis;
  const result = h("div", { class: "fer-result fer-card", "data-map": "off" });
  result.dataset.result = JSON.stringify(asJson(analysis));
  let chosen = 0;

  /** The list alone scrolls: the browser would not, for what has the focus is no part of what the list lays out */
  function reveal(row: Element) {
    const list = row.parentElement!;
    const [inner, outer] = [row, list].map((element) => element.getBoundingClientRect());
    const above = inner.top - RIM - outer.top;
    if (above < 0 || inner.bottom + RIM > outer.bottom) list.scrollTop += above;
  }

  function choose(index: number) {
    chosen = index;
    for (const part of result.querySelectorAll<HTMLElement>(".fer-of")) {
      part.toggleAttribute("hidden", part.dataset.face !== `${index}`);
    }
    for (const box of result.querySelectorAll<HTMLElement>(".fer-box")) {
      box.classList.toggle("fer-chosen", box.dataset.face === `${index}`);
    }
    announce(faceTitle(index + 1, faces[index].probabilities));
  }

  result.addEventListener("change", ({ target }) => {
    const { name, value, nextElementSibling } = target as HTMLInputElement;
    if (name === "face") {
      choose(Number(value));
      reveal(nextElementSibling!);
    }
    if (name === "map") result.dataset.map = value;
    if (result.dataset.map === "occlusion") void occlude(result, chosen, faces[chosen], analyst);
  });
  const count = facesFound(faces.length);
  const time = analysis.detector === WHOLE ? "timing_whole" : "timing";
  const [detect, classify] = [timing.detect.toFixed(0), timing.classify.toFixed(0)];
  const body = faces.length
    ? [...faces.map(panel), mapSwitch(analysis), ...saveTools(analysis, result)]
    : [h("p", { class: "fer-empty" }, say("no_face"))];
  result.append(
    stage(analysis, address),
    h(
      "div",
      { class: "fer-side" },
      h("p", { class: "fer-count" }, count),
      ...(faces.length > 1 ? [chooser(analysis)] : []),
      ...body,
      h("p", { class: "fer-note" }, say(time, { detect, classify, detector: analysis.detector })),
    ),
  );
  result.querySelector(".fer-box")?.classList.add("fer-chosen");
  announce([count, ...faces.map((face, index) => faceTitle(index + 1, face.probabilities))].join(". "));
  return result;
}
