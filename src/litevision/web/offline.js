// The page of `litevision page`: answers are computed in this browser, by the bundle and onnxruntime-web beside the page
// or inside it.
const FILES = { library: "litevision.js", runtime: "ort.wasm.bundle.min.mjs", wasm: "ort-wasm-simd-threaded.wasm", bundle: "model.onnx" };
const { title, card } = JSON.parse($("about").textContent);
let opened = null, video = null;

/** The bytes of a file that stands in the page, or else lies beside it. */
async function bytesOf(what) {
  const inside = $(what);
  if (!inside) return fetchBeside(FILES[what]);
  const text = atob(inside.textContent), packed = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) packed[at] = text.charCodeAt(at);
  inside.remove();
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function fetchBeside(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}; it belongs beside this page.`);
  return answer.arrayBuffer();
}

async function moduleOf(what) {
  if (!$(what)) return import(`./${FILES[what]}`);
  const address = URL.createObjectURL(new Blob([await bytesOf(what)], { type: "text/javascript" }));
  try { return await import(address); } finally { URL.revokeObjectURL(address); }
}

async function openBundle() {
  const [ort, library, wasm, bundle] = await Promise.all([moduleOf("runtime"), moduleOf("library"), bytesOf("wasm"), bytesOf("bundle")]);
  ort.env.wasm.numThreads = 1; // more need headers that static servers do not send
  ort.env.wasm.wasmBinary = wasm;
  opened = { library, model: await library.open(ort, bundle), version: ort.env.versions.web };
}

const optionsFor = ({ task }) => task === "detection" ? { score: LEAST } : { top: TOP };

const browser = {
  async models() {
    if (location.protocol === "file:" && !$("bundle")) {
      throw new Error("Browsers read no files beside a page that was opened as a file. Serve this folder "
        + "(python -m http.server), or make a page in one file (litevision page MODEL -o page.html).");
    }
    say("Loading the model …");
    await openBundle();
    return [title];
  },
  async facts() {
    const { record } = opened.model, bare = (text) => /^(\/|[A-Za-z]:\\)/.test(text) ? text.split(/[\\/]/).pop() : text;
    return { ...record, training_data: bare(record.training_data), licence: record.weights.licence, has_card: Boolean(card),
      further: { Runs: `in this browser, by onnxruntime-web ${opened.version} (MIT licence); no image leaves it` } };
  },
  card: async () => card,
  async predict(_, chosen, facts) {
    const image = await opened.library.readImage(chosen);
    return { ...await opened.model.predict(image, optionsFor(facts)), image: image.bitmap };
  },
  stop() {
    if (!video) return;
    video.srcObject.getTracks().forEach((track) => track.stop());
    video = null;
    $("live").setAttribute("aria-pressed", "false");
    say("");
  },
};

async function watch() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const mine = video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  file = null;
  asked++;
  $("live").setAttribute("aria-pressed", "true");
  await video.play();
  say("Live: each image is answered as it comes. Press the button again, or Escape, to stop.");
  delete $("score").dataset.moved;
  while (video === mine) {
    const image = await opened.library.readImage(video);
    const answer = await opened.model.predict(image, optionsFor(facts));
    if (video !== mine) { image.close(); break; }
    present(answer, image.bitmap);
    $("rate").textContent = `${answer.ms.toFixed(0)} ms an image`;
    await new Promise(requestAnimationFrame);
  }
  $("rate").textContent = "";
}

$("live").hidden = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
$("live").addEventListener("click", async () => {
  if (video) { browser.stop(); return; }
  if (!opened) return;
  try { await watch(); } catch (error) {
    browser.stop();
    say(`The webcam cannot be used: ${error.message}`, true);
  }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") browser.stop(); });
begin(browser);
