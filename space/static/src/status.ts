/* How far the loading is: a progress bar, then one quiet line. */
import type { Listener } from "./analyst";
import { h } from "./dom";
import { isKept, keep } from "./kept";
import { say } from "./texts";

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

export class Status implements Listener {
  private readonly bar = h("progress", { max: 1, value: 0, "aria-label": say("starting") });
  private readonly loading = h("span", {}, say("starting")); // not live: it changes with every piece of the network
  private readonly outcome = h("span", { role: "status" });
  private over = false; // what is still on its way after a failure has no say
  private broken = false;
  readonly element = h("p", { id: "status" }, this.bar, this.loading, this.outcome);

  progress(loaded: number, total: number) {
    if (this.over) return;
    this.bar.value = loaded / total;
    this.loading.textContent =
      loaded < total ? say("loading", { loaded: megabytes(loaded), total: megabytes(total) }) : say("starting");
  }

  /** `used`: what has to be kept for the next visit to need no network */
  async ready(description: string, used: string[]) {
    this.over = true;
    this.element.dataset.ready = description;
    const end = (key: string) => {
      if (!this.broken) this.end(say(key, { backend: description }));
    };
    if (await isKept(used)) return end("ready_offline");
    end("ready");
    if (await keep(used)) end("ready_offline");
  }

  failed(reason: string) {
    this.over = this.broken = true;
    this.element.classList.add("fer-error");
    this.end(say(isSecureContext ? "load_failed" : "needs_https", { reason }));
  }

  private end(words: string) {
    this.bar.remove();
    this.loading.remove();
    this.outcome.textContent = words;
  }
}
