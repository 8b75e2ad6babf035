/* The page's own behaviour: consent, choosing a face, its maps, saving what is shown (with
   save.js), the live boxes. No library. */
(() => {
  const find = (root, selector) => [...root.querySelectorAll(selector)];
  const shown = (element) => Boolean(element?.getClientRects().length); /* Safari before 17.4 has no checkVisibility */

  /* A screen reader hears each answer once; the element stays, as a live region must. */
  const announcer = document.createElement("div");
  announcer.id = "fer-announcer";
  announcer.setAttribute("role", "status");
  announcer.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";
  function announce(words) {
    if (announcer.textContent !== words) announcer.textContent = words;
  }

  /* The same words a second time would not be heard: first there are none, for as long as a screen reader needs. */
  function announceAnew(words) {
    announce("");
    setTimeout(announce, 100, words);
  }

  /* No camera starts on this page before the notice has been read, whoever asks for it. */
  let consented = false;
  function consent() {
    if (consented) return Promise.resolve();
    return new Promise((accept) => { /* "Not now" leaves it open: Gradio does not catch a refusal, and asks anew */
      const dialog = document.createElement("dialog");
      dialog.className = "fer-dialog";
      const notice = document.getElementById("fer-consent");
      dialog.append(notice.firstElementChild.cloneNode(true));
      dialog.setAttribute("aria-label", dialog.querySelector("h2").textContent);
      const { accept: yes, cancel: no } = notice.dataset;
      const form = document.createElement("form");
      form.method = "dialog";
      form.append(...[["yes", yes], ["no", no]].map(([value, text]) => {
        const button = document.createElement("button");
        Object.assign(button, { value, textContent: text, className: `fer-${value}` });
        return button;
      }));
      dialog.append(form);
      dialog.addEventListener("close", () => {
        dialog.remove();
        consented = dialog.returnValue === "yes";
        if (consented) accept();
      });
      document.querySelector(".gradio-container .contain").append(dialog);
      dialog.showModal();
    });
  }
  const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices); /* on https and on localhost only */
  if (open) {
    navigator.mediaDevices.getUserMedia = async (wish) => {
      await consent();
      return openCamera(wish).catch((error) => {
        tellNoCamera(error);
        throw error;
      });
    };
  }

  /* A camera is on while its picture is seen. Gradio would leave it on behind another tab, and beside the next one that
     is chosen; it never opens one again, so that this does where the picture would be seen again. */
  const cameras = new Map(); /* what each stream was asked for with */
  const resting = new Map(); /* the same for each video that waits for its camera */
  let opening = 0;
  const seen = (video) => !document.hidden && shown(video);
  async function openCamera(wish) {
    announce(""); /* the same sentence a second time would not be heard */
    restCameras(() => false); /* many a phone opens one at a time */
    opening += 1;
    try {
      const stream = await open(wish);
      cameras.set(stream, wish);
      return stream;
    } finally {
      opening -= 1;
      watchCameras();
    }
  }

  function restCameras(stays) {
    for (const [stream, wish] of cameras) {
      const video = find(document, "video").find(({ srcObject }) => srcObject === stream);
      if (video && stays(video)) continue;
      for (const track of stream.getTracks()) track.stop();
      cameras.delete(stream);
      if (!video) continue;
      video.srcObject = null; /* Gradio would send its last picture over and over */
      resting.set(video, wish);
    }
  }

  function wakeCameras() {
    for (const [video, wish] of resting) {
      if (video.srcObject || !video.isConnected) resting.delete(video); /* another was chosen, or a picture taken */
      if (opening || !resting.has(video) || !seen(video)) continue;
      resting.delete(video);
      openCamera(wish).then((stream) => {
        video.srcObject = stream;
        video.play().catch(() => {}); /* left at once */
      }, (error) => offerAgain(video, wish, error));
    }
  }

  function offerAgain(video, wish, error) {
    const again = document.createElement("button");
    again.className = "fer-again";
    again.textContent = tellNoCamera(error);
    again.addEventListener("click", () => { /* which calls watchCameras */
      again.remove();
      resting.set(video, wish);
    });
    video.after(again);
  }

  /* Gradio says nothing: the sentence stands on the button that asks for the camera, which can be pressed again. */
  function tellNoCamera(error) {
    const { refused, missing } = document.getElementById("fer-consent").dataset;
    const words = error.name === "NotAllowedError" ? refused : missing;
    for (const offer of find(document, ".fer-offer .wrap")) offer.lastChild.nodeValue = ` ${words}`;
    announce(words);
    return words;
  }

  /* The list alone scrolls: the browser would not, for what has the focus is no part of what the list lays out. */
  const RIM = 6; /* pixels of the mark of the focus around a row */
  function reveal(row) {
    const list = row.parentElement;
    const [inner, outer] = [row, list].map((element) => element.getBoundingClientRect());
    const above = inner.top - RIM - outer.top;
    if (above < 0 || inner.bottom + RIM > outer.bottom) list.scrollTop += above;
  }

  function choose(result, index) {
    for (const part of find(result, ".fer-of")) part.toggleAttribute("hidden", part.dataset.face !== index);
    for (const box of find(result, ".fer-box")) box.classList.toggle("fer-chosen", box.dataset.face === index);
    announce(result.querySelector(".fer-panel:not([hidden]) h3").textContent);
  }

  document.addEventListener("change", (event) => {
    const result = event.target.closest(".fer-result");
    if (!result) return;
    if (event.target.matches(".fer-faces input")) {
      choose(result, event.target.value);
      reveal(event.target.nextElementSibling);
    }
    if (event.target.matches(".fer-maps input")) result.dataset.map = event.target.value;
    if (result.dataset.map === "occlusion") occlude(result.querySelector(".fer-panel:not([hidden])"));
  });

  /* The occlusion map: the crop that the page holds goes to the server, the drops in probability come back, once. */
  async function occlude(panel) {
    if (panel.dataset.asked) return;
    panel.dataset.asked = "yes";
    const result = panel.closest(".fer-result");
    const note = panel.querySelector(".fer-occlusion-note");
    const words = JSON.parse(panel.dataset.notes);
    note.textContent = words.wait;
    const question = { crop: panel.querySelector(".fer-crop img").src, class: Number(panel.dataset.class) };
    const drops = await window.ferOcclusion(question).catch(() => []); /* a busy or a stopped server */
    if (!drops.length) {
      delete panel.dataset.asked; /* the next choice asks again */
      note.textContent = words.busy;
      return;
    }
    const side = drops.length;
    const flat = drops.flat();
    const top = Math.max(...flat);
    const cell = panel.querySelector("svg").viewBox.baseVal.width / side;
    const percent = (p) => words.percent.replace("{number}", Math.round(100 * p));
    const rects = flat.map((drop, i) =>
      `<rect x="${(i % side) * cell}" y="${Math.floor(i / side) * cell}" width="${cell}" height="${cell}" ` +
      `fill-opacity="${(0.75 * Math.max(0, drop) / Math.max(top, 0.01)).toFixed(2)}"><title>${percent(-drop)}</title></rect>`).join("");
    for (const group of find(result, `[data-face="${panel.dataset.face}"] .fer-occlusion`)) group.innerHTML = rects;
    const at = flat.indexOf(top);
    const before = JSON.parse(result.dataset.result).faces[panel.dataset.face].confidence;
    const after = before - top < 0.005 ? `< ${percent(0.01)}` : percent(before - top); /* never a false 0 */
    const blanks = { row: Math.floor(at / side) + 1, column: (at % side) + 1, side, after };
    note.textContent = top < 0.01 ? words.flat : words.done.replace(/{(\w+)}/g, (_, name) => blanks[name]);
  }

  /* The pixels of the upright original, which the browser holds beside the result; where it can't show the original
     (TIFF), or has another picture there by now, those of the preview. */
  function pixels(result) {
    const preview = result.querySelector(".fer-stage img");
    const original = document.querySelector("#photo img");
    const ratio = ({ naturalWidth, naturalHeight }) => naturalWidth / naturalHeight;
    const same = original?.naturalWidth && original.src.split("/").at(-2) === result.dataset.folder;
    return same && Math.abs(ratio(original) / ratio(preview) - 1) < 0.02 ? original : preview;
  }

  function drawn(result, answer) {
    const picture = pixels(result);
    const scale = picture.naturalWidth / result.querySelector(".fer-stage > svg").viewBox.baseVal.width;
    return annotated(picture, find(result, ".fer-box").map((box, index) => ({
      box: answer.faces[index].box.map((value) => value * scale),
      text: find(box, ".fer-tag span").map((part) => part.textContent).join(" "),
      colour: getComputedStyle(box).getPropertyValue("border-top-color"),
    })));
  }

  async function saveDrawn(result, answer) {
    const blob = await drawn(result, answer);
    const note = result.querySelector(".fer-save-note");
    note.textContent = blob ? "" : note.dataset.failed;
    if (blob) save("faces.png", blob);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".fer-save, .fer-seek, #accept, #run-video");
    if (!button) return;
    if (button.id === "run-video") filmed = true;
    if (button.id === "accept") {
      consented = refocus = true;
      button.classList.add("fer-seen");
    }
    if (button.matches(".fer-seek")) {
      const video = document.querySelector("#video-result video");
      video.currentTime = Number(button.dataset.seconds);
      video.scrollIntoView({ block: "nearest" });
    }
    if (!button.matches(".fer-save")) return;
    const result = button.closest(".fer-result");
    const answer = JSON.parse(result.dataset.result);
    if (button.dataset.kind === "json") save("faces.json", new Blob([JSON.stringify(answer, null, 2)], { type: "application/json" }));
    if (button.dataset.kind === "csv") save("faces.csv", new Blob([csv(answer)], { type: "text/csv" }));
    if (button.dataset.kind === "png") saveDrawn(result, answer);
  });

  /* Ctrl+V anywhere on the photo's tab: Gradio itself only has a button for it, after which it has no input for a file. */
  document.addEventListener("paste", async (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (!file || !shown(document.getElementById("photo"))) return;
    const found = () => document.querySelector("#photo input[type=file]");
    if (!found()) {
      document.querySelector("#photo [aria-label='Upload file']")?.click();
      await new Promise(requestAnimationFrame);
    }
    const input = found();
    if (!input) return;
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });

  /* Gradio's camera: asked for at once when the notice has been accepted, and its hard-wired English replaced. */
  function tuneCamera() {
    const notice = document.querySelector("#accept:not(.fer-seen)");
    if (consented && shown(notice)) notice.click(); /* it was read on the photo's tab */
    for (const offer of find(document, "[title='grant webcam access']")) {
      const words = document.getElementById("fer-consent").dataset.allow;
      offer.title = words;
      offer.classList.add("fer-offer");
      offer.querySelector(".wrap").lastChild.nodeValue = ` ${words}`;
    }
    const offer = document.querySelector("#camera .fer-offer:not(.fer-seen)");
    if (consented && shown(offer)) {
      offer.classList.add("fer-seen");
      offer.querySelector("button").click();
    }
    find(document, "#camera [aria-label='capture photo']").forEach((button) => button.removeAttribute("aria-label"));
    if (refocus) focusCamera();
  }

  /* The notice's button goes, and the focus with it: it moves on to the camera's, unless it was put elsewhere since. */
  let refocus = false;
  function focusCamera() {
    const at = document.activeElement;
    const start = document.querySelector("#camera .capture-button");
    const lost = at === document.body || at.matches("#accept, #camera button");
    if (lost) (start ?? document.querySelector("#camera .fer-offer button"))?.focus();
    refocus = lost && !start;
  }

  /* The webcam: boxes are drawn over the page's own video, at the place where the browser shows it. */
  let spoken = 0;
  const stopped = () => document.querySelector("#camera [title='start recording']");
  function drawLive() {
    const live = document.querySelector("#live-result .fer-live");
    const video = document.querySelector("#camera video");
    if (!video || !video.videoWidth) return;
    let layer = document.getElementById("fer-layer");
    if (!layer) {
      layer = document.createElement("div");
      layer.id = "fer-layer";
      layer.setAttribute("aria-hidden", "true");
    }
    if (layer.parentElement !== video.parentElement) {
      video.parentElement.style.position = "relative";
      video.parentElement.append(layer);
    }
    const error = document.querySelector("#live-result .fer-error");
    if (error) announce(error.textContent);
    if (!live || stopped()) { layer.replaceChildren(); return; }
    const { size, faces } = JSON.parse(live.dataset.live);
    const scale = Math.min(video.clientWidth / size[0], video.clientHeight / size[1]);
    const left = video.offsetLeft + (video.clientWidth - size[0] * scale) / 2;
    const top = video.offsetTop + (video.clientHeight - size[1] * scale) / 2;
    layer.classList.toggle("fer-alone", faces.length === 1);
    layer.replaceChildren(...faces.map((face) => {
      const box = document.createElement("div");
      const tag = document.createElement("span");
      const [x, y, w, h] = face.box;
      box.className = "fer-box";
      box.style.cssText = `left:${left + x * scale}px;top:${top + y * scale}px;width:${w * scale}px;height:${h * scale}px;--c:var(--fer-${face.class})`;
      tag.className = "fer-tag" + (y < 30 ? " fer-inside" : "") + (x + w / 2 > 0.6 * size[0] ? " fer-left" : "");
      tag.append(...face.words.flatMap((word, index) => [index ? " " : "", Object.assign(document.createElement("span"),
        { textContent: word, className: index === 1 ? "fer-name" : "" })]));
      box.append(tag);
      return box;
    }));
    if (Date.now() - spoken > 4000) { /* a screen reader is told every four seconds, not ten times a second */
      spoken = Date.now();
      announce(faces.map((face) => face.words.join(" ")).join(", ") || live.querySelector(".fer-empty").textContent);
    }
  }

  /* Whoever leaves the tab, by its bar or by the menu of what does not fit there, or leaves the browser's, no longer
     sees that pictures are sent: Gradio would go on. And where the queue was full it would wait for ever. Stop is
     pressed once, after Gradio has drawn: pressed again it would be Start. Cameras that nobody sees are turned off. */
  let looking = false;
  let pressed = false;
  function watchCameras() {
    if (looking) return;
    looking = true;
    setTimeout(() => {
      looking = false;
      const waiting = document.querySelector("#camera [title='spinner']");
      const refused = waiting && document.querySelector("#live-result [data-testid='status-tracker'] .error");
      const idle = refused || document.hidden || !shown(document.getElementById("camera"));
      const stop = idle && (waiting ?? document.querySelector("#camera [title='stop recording']"))?.closest("button");
      if (stop && !pressed) stop.click();
      pressed = idle && (pressed || Boolean(stop));
      restCameras(seen);
      wakeCameras();
      tuneCamera(); /* the webcam's tab may just have been opened */
    });
  }
  document.addEventListener("click", watchCameras);
  document.addEventListener("visibilitychange", watchCameras);

  /* A new answer: its first face is chosen, and it is spoken: of the timeline and of the album, which take a while,
     what can be done with them. */
  const ANSWERS = ".fer-result, #result .fer-error, .fer-timeline, #timeline .fer-empty, .fer-gallery";
  const SPOKEN = ".fer-count, .fer-empty, .fer-error, .fer-panel h3, .fer-timeline > h3, .fer-timeline > .fer-note, " +
    ".fer-timeline h4, .fer-gallery + .fer-note";
  let filmed = false; /* until then the timeline's sentence is the hint that stood there from the beginning */
  function greetAnswers() {
    for (const answer of find(document, `:is(${ANSWERS}):not(.fer-seen)`)) {
      answer.classList.add("fer-seen");
      answer.querySelector(".fer-box")?.classList.add("fer-chosen");
      const words = find(answer.parentElement, SPOKEN).map((part) => part.textContent).join(". ");
      if (filmed || !answer.matches("#timeline .fer-empty")) announceAnew(words);
    }
  }

  function start() {
    document.body.append(announcer);
    new MutationObserver((changes) => {
      greetAnswers();
      tuneCamera();
      watchCameras();
      if (stopped()) document.querySelector("#fer-layer:not(:empty)")?.replaceChildren(); /* boxes of a picture gone by */
      const title = document.querySelector("#head h1")?.textContent.trim(); /* in the reader's language */
      if (title && document.title !== title) document.title = title;
      if (changes.some((change) => change.target.closest?.("#live-result"))) drawLive();
    }).observe(document.body, { childList: true, subtree: true });
    window.addEventListener("resize", drawLive);
  }
  if (document.body) start(); else document.addEventListener("DOMContentLoaded", start);
})();
