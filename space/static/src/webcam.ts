/* The tab for the webcam: a notice first, then the camera with what is read beside it. */
import app from "generated/app.json";
import type { Analysis } from "./analysis";
import type { Analyst } from "./analyst";
import { announce } from "./announcer";
import { Refusal } from "./decode";
import { h, slot } from "./dom";
import { LivePanel } from "./live_panel";
import { boxElement, tagWords } from "./panel";
import { message } from "./photo";
import { facesFound, say } from "./texts";
import { type Track, Tracker } from "./tracking";

const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
const SPOKEN_SECONDS = 4; // a screen reader is told this often, not at every picture

export interface WebcamTab {
  element: HTMLElement;
  /** Give the camera back; also for when the tab is left */
  stop(): void;
}

export function webcamTab(analyst: Analyst): WebcamTab {
  const video = h("video", { playsinline: true, muted: true, "aria-label": say("camera_alt") });
  video.muted = true;
  video.addEventListener("resize", () => {  // also when a phone is turned
    camera.style.setProperty("--ratio", `${video.videoWidth / video.videoHeight}`);
  });
  const layer = h("div", { id: "fer-layer", "aria-hidden": "true" });
  const camera = h("div", { id: "camera", class: "fer-stage" }, video, layer);
  const result = slot("live-result", message(say("live_empty")));
  const toggle = h(
    "button",
    { type: "button", id: "toggle", class: "fer-primary", click: () => (stream ? stop() : start()) },
    say("camera_start"),
  );
  const live = h(
    "div",
    { id: "live-column", class: "fer-columns fer-live-columns", hidden: true },
    h("div", { class: "column" }, camera, toggle),
    h("div", { class: "column" }, result.element),
  );
  const accept = h("button", { type: "button", id: "accept", class: "fer-primary", click: accepted }, say("notice_accept"));
  const before = h("div", { id: "notice-column" }, notice(), accept);

  let stream: MediaStream | null = null;
  let run = 0; // counts starts, so that a loop of an earlier one ends
  let spoken = 0;

  function accepted() {
    before.hidden = true;
    live.hidden = false;
    toggle.focus();
    void start();
  }

  async function start() {
    const mine = ++run;
    try {
      const given = await navigator.mediaDevices.getUserMedia({ video: CAMERA, audio: false });
      if (mine !== run) return given.getTracks().forEach((track) => track.stop()); // stopped while it was asked for
      stream = given;
    } catch (error) {
      const refused = error instanceof DOMException && error.name === "NotAllowedError";
      return fail(say(refused ? "camera_refused" : isSecureContext ? "camera_missing" : "needs_https"));
    }
    stream.getTracks().forEach((track) => track.addEventListener("ended", stop)); // unplugged, or taken back
    toggle.textContent = say("camera_stop");
    video.srcObject = stream;
    try {
      await video.play();
      await look(mine);
    } catch (error) {
      if (mine !== run) return; // stopped in the middle
      stop();
      const { key, values } = error instanceof Refusal ? error : new Refusal("picture_failed", { reason: `${error}` });
      fail(say(key, values));
    }
  }

  function fail(words: string) {
    result.show(message(words, "fer-error"));
    announce(words);
  }

  function stop() {
    run++;
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    layer.replaceChildren();
    result.show(message(say("live_empty")));
    toggle.textContent = say("camera_start");
  }

  /** Picture after picture, as fast as they are answered; the newest is taken, what came between is never seen */
  async function look(mine: number) {
    const tracker = new Tracker();
    const panels = new Map<number, LivePanel>();
    let arrivals: number[] = [];
    let next = nextPicture(video);
    while (mine === run) {
      await next;
      if (mine !== run) break;
      const bitmap = await createImageBitmap(video);
      next = nextPicture(video); // it may come while this one is worked on
      const analysis = await analyst.frame(bitmap);
      if (mine !== run) break;
      const now = performance.now() / 1000;
      const tracks = tracker.update(now, analysis.faces);
      arrivals = [...arrivals.filter((at) => now - at <= app.live.rateSeconds), now];
      drawBoxes(tracks, analysis.size);
      showPanels(tracks, panels, now, (arrivals.length - 1) / Math.max(now - arrivals[0], 1e-9));
    }
  }

  /** Boxes over the mirrored video; their words are not mirrored */
  function drawBoxes(tracks: Track[], size: Analysis["size"]) {
    layer.classList.toggle("fer-alone", tracks.length === 1);
    layer.replaceChildren(
      ...tracks.map(({ box: [x, y, width, height], number, probabilities }) => {
        const mirrored = [size[0] - x - width, y, width, height];
        return boxElement("div", mirrored, size, probabilities, tagWords(number, probabilities));
      }),
    );
    const now = performance.now() / 1000;
    if (now - spoken < SPOKEN_SECONDS) return;
    spoken = now;
    const words = tracks.map(({ number, probabilities }) => tagWords(number, probabilities).join(" "));
    announce(words.join(", ") || say("live_no_face"));
  }

  function showPanels(tracks: Track[], panels: Map<number, LivePanel>, now: number, rate: number) {
    // the largest, by number: by size they would change places all the time
    const shown = tracks.slice(0, app.live.shown).sort((one, other) => one.number - other.number);
    for (const number of panels.keys()) {
      if (!shown.some((track) => track.number === number)) panels.delete(number);
    }
    const elements = shown.map((track) => {
      const panel = panels.get(track.number) ?? new LivePanel(track.number);
      panels.set(track.number, panel);
      panel.update(track, now);
      return panel.element;
    });
    const found = facesFound(tracks.length);
    const speed = h("span", { class: "fer-rate" }, say("live_rate", { rate: rate.toFixed(0) }));
    const empty = h("p", { class: "fer-empty" }, say("live_no_face"));
    result.show(
      h(
        "div",
        { class: "fer-live fer-card" },
        h("p", { class: "fer-count" }, `${found} · `, speed),
        ...(elements.length ? elements : [empty]),
      ),
    );
  }

  return { element: h("div", {}, before, live), stop };
}

function notice() {
  const values = { classes: app.model.labels.length };
  const points = ["computed", "stored", "meaning", "law"].map((key) => h("li", {}, say(`notice_${key}`, values)));
  const section = h("section", { class: "fer-notice" }, h("h2", {}, say("notice_title")), h("ul", {}, ...points));
  return slot("notice", section).element;
}

/** Resolves when the camera has a new picture */
function nextPicture(video: HTMLVideoElement): Promise<void> {
  return new Promise((resolve) => video.requestVideoFrameCallback(() => resolve()));
}
