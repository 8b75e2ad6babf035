/* One face of the live result: its bars, and the probabilities of the last half minute as curves. */
import app from "generated/app.json";
import { winner } from "./analysis";
import { h, svg } from "./dom";
import { Bars, faceTitle } from "./panel";
import { say } from "./texts";
import type { Track } from "./tracking";

const [WIDTH, HEIGHT] = app.live.curve;
const POINTS = 100;
const CURVE_SECONDS = 0.2; // it moves by a pixel or two in that time

export class LivePanel {
  readonly element: HTMLElement;
  private readonly title = h("h3");
  private readonly bars = new Bars();
  private readonly lines = app.model.labels.map((_, index) => svg("polyline", { style: `--c:var(--fer-${index})` }));
  private drawn = -Infinity;

  constructor(number: number) {
    const label = say("live_curve", { number });
    const view = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
    const middle = svg("path", { d: `M0 ${HEIGHT / 2}H${WIDTH}` });
    const ends = h("figcaption", {}, h("span", {}, say("live_begin")), h("span", {}, say("live_end")));
    const curve = h("figure", { class: "fer-curve" }, svg("svg", view, middle, ...this.lines), ends);
    this.element = h("section", { class: "fer-panel" }, this.title, this.bars.element, curve);
  }

  update(track: Track, now: number) {
    this.element.style.setProperty("--c", `var(--fer-${winner(track.probabilities)})`);
    this.title.textContent = faceTitle(track.number, track.probabilities);
    this.bars.update(track.probabilities);
    if (now - this.drawn < CURVE_SECONDS) return;
    this.drawn = now;
    const step = Math.max(1, Math.floor(track.history.length / POINTS));
    const points = track.history.filter((_, index) => (track.history.length - 1 - index) % step === 0);
    this.lines.forEach((line, label) => {
      const places = points.map(({ at, probabilities }) => {
        const x = WIDTH * (1 - (now - at) / app.tracking.historySeconds);
        return `${x.toFixed(1)},${(HEIGHT - 2 - (HEIGHT - 4) * probabilities[label]).toFixed(1)}`;
      });
      line.setAttribute("points", places.join(" "));
    });
  }
}
