/* The tab for one picture: chosen, dropped, pasted, or an example. */
import app from "generated/app.json";
import type { Analyst } from "./analyst";
import { announce } from "./announcer";
import { Refusal } from "./decode";
import { h, slot } from "./dom";
import { resultElement } from "./result";
import { still } from "./still";
import { say } from "./texts";

export function photoTab(analyst: Analyst): HTMLElement {
  let address = ""; // of the picture that is shown
  let last: Blob | null = null;
  let asked = 0;

  const chosen = h("input", {
    type: "file",
    accept: "image/*",
    id: "file",
    change: () => {
      const file = chosen.files?.[0];
      if (file) void show(file);
      chosen.value = ""; // the same file can be chosen again
    },
  });
  const zone = h(
    "label",
    { id: "zone", for: "file" },
    h("span", { class: "fer-choose" }, say("choose_picture")),
    h("span", {}, say("or_drop")),
  );
  const examples = app.examples.map(({ picture, thumbnail }, index) => {
    const icon = h("img", { src: thumbnail, alt: "", width: 44, height: 44 });
    const open = () => void show(example(picture));
    return h("button", { type: "button", id: `example-${index + 1}`, click: open }, icon, say(`example_${index + 1}`));
  });
  const whole = h(
    "button",
    { type: "button", id: "whole", class: "fer-primary", hidden: true, click: () => last && show(last, true) },
    say("whole"),
  );
  const hint = slot("hint", message(say("result_empty")));
  const result = slot("result");
  const left = h("div", { id: "photo" }, chosen, zone, h("div", { id: "examples" }, ...examples));
  const tab = h("div", { class: "fer-columns" }, left, h("div", { class: "column" }, hint.element, result.element, whole));

  async function show(given: Blob | Promise<Blob>, asOneFace = false) {
    const number = ++asked;
    last = null;
    whole.hidden = true;
    hint.show(message(say("reading")));
    result.show();
    announce(say("reading"));
    try {
      const file = await given;
      const analysis = await analyst.picture(file, asOneFace);
      const picture = await still(file);
      if (number !== asked) return; // another picture was chosen meanwhile
      last = file;
      URL.revokeObjectURL(address);
      address = URL.createObjectURL(picture);
      result.show(resultElement(analysis, address, analyst));
      whole.hidden = analysis.faces.length > 0;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (number !== asked) return;
      result.show(message(say(error.key, error.values), "fer-error"));
      announce(say(error.key, error.values));
    }
  }

  const take = (files: FileList | undefined, event: Event) => {
    const file = [...(files ?? [])].find(({ type }) => type.startsWith("image/")) ?? files?.[0];
    if (!file || !tab.offsetParent) return; // another tab is shown
    event.preventDefault();
    void show(file);
  };
  document.addEventListener("paste", (event) => take(event.clipboardData?.files, event));
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // a file that misses the zone must not replace the page
    zone.classList.add("fer-over");
  });
  document.addEventListener("dragleave", () => zone.classList.remove("fer-over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("fer-over");
    take(event.dataTransfer?.files, event);
  });
  return tab;
}

/** An example's file; rejects with a Refusal where it can't be had: the page may be offline for the first time */
async function example(address: string): Promise<Blob> {
  try {
    const response = await fetch(new URL(address, document.baseURI));
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return await response.blob();
  } catch (error) {
    throw new Refusal("picture_failed", { reason: (error as Error).message });
  }
}

export function message(sentence: string, kind = "fer-empty"): HTMLElement {
  return h("div", { class: kind }, h("p", {}, sentence));
}
