/* The page's own behaviour: choosing a face, saving what is shown, and boxes over the live video. No library. */
(() => {
  const find = (root, selector) => [...root.querySelectorAll(selector)];

  function choose(result, index) {
    for (const part of find(result, ".fer-of")) part.toggleAttribute("hidden", part.dataset.face !== index);
    for (const box of find(result, ".fer-box")) box.classList.toggle("fer-chosen", box.dataset.face === index);
  }

  document.addEventListener("change", (event) => {
    const result = event.target.closest(".fer-result");
    if (!result) return;
    if (event.target.matches(".fer-faces input")) choose(result, event.target.value);
    if (event.target.matches(".fer-heat-switch")) result.classList.toggle("fer-show-heat", event.target.checked);
  });

  /* What is on the page, as a file that is made here and leaves the browser only to its own disk. */
  function save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function csv(answer) {
    const labels = Object.keys(answer.faces[0].probabilities);
    const rows = answer.faces.map((face, index) =>
      [index + 1, ...face.box, face.emotion, face.confidence, ...labels.map((label) => face.probabilities[label])]);
    return [["face", "x", "y", "width", "height", "emotion", "confidence", ...labels], ...rows]
      .map((row) => row.join(",")).join("\r\n") + "\r\n";
  }

  function annotated(result, done) {
    const picture = result.querySelector(".fer-stage img");
    const canvas = document.createElement("canvas");
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    const draw = canvas.getContext("2d");
    draw.drawImage(picture, 0, 0);
    const unit = Math.max(12, Math.round(canvas.width / 60));
    draw.font = `600 ${unit}px system-ui, sans-serif`;
    draw.lineWidth = Math.max(2, unit / 6);
    for (const box of find(result, ".fer-box")) {
      const [x, y, w, h] = ["left", "top", "width", "height"].map((side, i) =>
        (parseFloat(box.style[side]) / 100) * (i % 2 ? canvas.height : canvas.width));
      const colour = getComputedStyle(box).getPropertyValue("border-top-color");
      const text = box.textContent.trim();
      const top = y > unit * 1.6 ? y - unit * 1.5 : y;
      draw.strokeStyle = draw.fillStyle = colour;
      draw.strokeRect(x, y, w, h);
      draw.fillRect(x, top, draw.measureText(text).width + unit, unit * 1.5);
      draw.fillStyle = "#fff";
      draw.fillText(text, x + unit / 2, top + unit * 1.1);
    }
    canvas.toBlob(done, "image/png");
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".fer-save");
    if (!button) return;
    const result = button.closest(".fer-result");
    const answer = JSON.parse(result.dataset.result);
    if (button.dataset.kind === "json") save("faces.json", new Blob([JSON.stringify(answer, null, 2)], { type: "application/json" }));
    if (button.dataset.kind === "csv") save("faces.csv", new Blob([csv(answer)], { type: "text/csv" }));
    if (button.dataset.kind === "png") annotated(result, (blob) => save("faces.png", blob));
  });

  /* The occlusion map: the crop that the page holds goes to the server, the drops in probability come back. */
  window.ferOcclusion = async (button, ask) => {
    const section = button.closest(".fer-panel");
    button.disabled = true;
    try {
      const drops = await ask({ crop: section.querySelector(".fer-crop img").src, class: Number(button.dataset.class) });
      if (!drops?.length) return;
      const top = Math.max(...drops.flat(), 1e-9);
      const side = 48 / drops.length;
      section.querySelector(".fer-crop .fer-heat").innerHTML = drops.map((row, y) => row.map((drop, x) =>
        `<rect x="${x * side}" y="${y * side}" width="${side}" height="${side}" fill-opacity="${(0.7 * Math.max(0, drop) / top).toFixed(2)}"/>`
      ).join("")).join("");
      const note = section.querySelector(".fer-heat-note");
      note.textContent = note.dataset.done.replace("%", `${(Math.max(0, top) * 100).toFixed(0)} %`);
      section.classList.add("fer-show-heat");
    } finally {
      button.disabled = false;
    }
  };

  /* The webcam: boxes are drawn over the page's own video, at the place where the browser shows it. */
  let spoken = 0;
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
    if (!live) { layer.replaceChildren(); return; }
    const { size, faces } = JSON.parse(live.dataset.live);
    const scale = Math.min(video.clientWidth / size[0], video.clientHeight / size[1]);
    const left = video.offsetLeft + (video.clientWidth - size[0] * scale) / 2;
    const top = video.offsetTop + (video.clientHeight - size[1] * scale) / 2;
    layer.replaceChildren(...faces.map((face) => {
      const box = document.createElement("div");
      const tag = document.createElement("span");
      const [x, y, w, h] = face.box;
      box.className = "fer-box";
      box.style.cssText = `left:${left + x * scale}px;top:${top + y * scale}px;width:${w * scale}px;height:${h * scale}px;--c:var(--fer-${face.class})`;
      tag.className = y < 30 ? "fer-tag fer-tag-inside" : "fer-tag";
      tag.textContent = face.text;
      box.append(tag);
      return box;
    }));
    const announcer = document.getElementById("fer-announcer");
    if (announcer && Date.now() - spoken > 4000) { /* a screen reader is told every four seconds, not ten times a second */
      spoken = Date.now();
      const words = faces.map((face) => face.text).join(", ");
      if (announcer.textContent !== words) announcer.textContent = words;
    }
  }

  function start() {
    const chooseFirst = () => { for (const box of find(document, ".fer-box[data-face='0']:not(.fer-seen)")) box.classList.add("fer-seen", "fer-chosen"); };
    new MutationObserver((changes) => {
      chooseFirst();
      if (changes.some((change) => change.target.closest?.("#live-result"))) drawLive();
    }).observe(document.body, { childList: true, subtree: true });
    window.addEventListener("resize", drawLive);
  }
  if (document.body) start(); else document.addEventListener("DOMContentLoaded", start);
})();
