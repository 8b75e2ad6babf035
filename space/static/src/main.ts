/* The page: head, status, tabs, foot. */
import "generated/colours.css";
import "../../style.css";
import "./page.css";
import app from "generated/app.json";
import { Analyst } from "./analyst";
import { announcer } from "./announcer";
import { h, slot } from "./dom";
import { photoTab } from "./photo";
import type { Backend } from "./runtime";
import { Status } from "./status";
import { tabs } from "./tabs";
import { language, loadTexts, say } from "./texts";
import { webcamTab } from "./webcam";

const CONTROL_SECONDS = 3;

/** Resolves when the service worker answers for this page, so that it keeps what is loaded from here on */
async function keptForLater() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("./sw.js");
  } catch (error) {
    return console.warn("no service worker, so nothing is kept for the next visit:", error); // a private window
  }
  if (navigator.serviceWorker.controller) return;
  await new Promise<void>((resolve) => {
    navigator.serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
    setTimeout(resolve, CONTROL_SECONDS * 1000);
  });
}

/** ?backend=wasm or ?backend=webgpu insists on one, for a machine whose GPU misbehaves */
function wantedBackend(): Backend | null {
  const wanted = new URLSearchParams(location.search).get("backend");
  return wanted === "wasm" || wanted === "webgpu" ? wanted : null;
}

function title(): HTMLElement {
  const heading = h("h1");
  heading.innerHTML = app.mark; // the app's own
  heading.append(say("title"));
  return heading;
}

/** The model's figures: HTML made by generate.py, escaped there; styles can only be set here */
function about(): HTMLElement {
  const tab = h("div", { class: "fer-about" });
  tab.innerHTML = say("about");
  for (const cell of tab.querySelectorAll<HTMLElement>("[data-share]")) {
    cell.style.setProperty("--share", cell.dataset.share!);
  }
  return slot("about", tab).element;
}

async function start() {
  await Promise.all([loadTexts(), keptForLater()]);
  document.documentElement.lang = language;
  document.title = say("title");
  const tagline = say("tagline", { classes: app.model.labels.length });
  const status = new Status();
  const analyst = new Analyst(wantedBackend(), status);
  const webcam = webcamTab(analyst);
  document.body.append(
    announcer,
    h(
      "div",
      { class: "gradio-container" },
      h("header", { id: "head" }, title(), h("p", {}, tagline), status.element),
      h(
        "main",
        {},
        tabs([
          { id: "photo", name: say("tab_photo"), content: photoTab(analyst) },
          { id: "webcam", name: say("tab_webcam"), content: webcam.element, left: webcam.stop },
          { id: "about", name: say("tab_about"), content: about() },
        ]),
      ),
      h("footer", { id: "foot" }, h("p", {}, `${say("misuse")} ${say("privacy")}`)),
    ),
  );
}

start().catch((error) => {
  document.body.append(h("p", { class: "fer-error" }, `This page could not be loaded: ${error.message}. Load it again.`));
});
