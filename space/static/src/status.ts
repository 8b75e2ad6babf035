/* How far the loading is: a progress bar, then one quiet line. */
import type { Listener } from "./analyst";
import { h } from "./dom";
import { say } from "./texts";

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

export class Status implements Listener {
  private readonly words = h("span", { role: "status" });
  private readonly bar = h("progress", { max: 1, value: 0, "aria-labelledby": "status-words" });
  private over = false; // what is still on its way after a failure has no say
  readonly element = h("p", { id: "status" }, this.bar, this.words);

  constructor() {
    this.words.id = "status-words";
    this.words.textContent = say("starting");
  }

  progress(loaded: number, total: number) {
    if (this.over) return;
    this.bar.value = loaded / total;
    this.words.textContent =
      loaded < total ? say("loading", { loaded: megabytes(loaded), total: megabytes(total) }) : say("starting");
  }

  ready(description: string) {
    this.over = true;
    this.bar.remove();
    const kept = navigator.serviceWorker?.controller;
    this.words.textContent = say(kept ? "ready_offline" : "ready", { backend: description });
    this.element.dataset.ready = description;
  }

  failed(reason: string) {
    this.over = true;
    this.bar.remove();
    this.element.classList.add("fer-error");
    this.words.textContent = say(isSecureContext ? "load_failed" : "needs_https", { reason });
  }
}
