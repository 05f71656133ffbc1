// What the page of the server and the page without one share: images in, bars or boxes out. `begin` takes where the
// answers come from: its models' names; facts, card and prediction by name; and its own drawing, where it has one.
"use strict";
const $ = (id) => document.getElementById(id);
const PALETTE = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
const LEAST = 0.05, TOP = 10;
let backend = null, file = null, shown = null, row = null, facts = null, asked = 0;

const element = (kind, text = "", name = "") => {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  return made;
};
const say = (text, isWrong = false) => { $("status").textContent = text; $("status").className = isWrong ? "wrong" : ""; };
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const model = () => $("model").value;

async function begin(source) {
  backend = source;
  try {
    const names = await backend.models();
    $("model").replaceChildren(...names.map((it) => new Option(it, it)));
    $("model").hidden = names.length === 1;
    $("only").hidden = names.length > 1;
    $("only").textContent = names[0];
    say("");
    await describe();
    if (file) await predict();
  } catch (error) { say(error.message, true); }
}

async function describe() {
  facts = await backend.facts(model());
  const score = facts.score;
  const scored = !score ? "not measured" : "ap50" in score
    ? `AP50 ${score.ap50.toFixed(3)} on ${score.count} images of ${score.dataset}`
    : `top-1 ${score.top1.toFixed(1)} % on ${score.count} images of ${score.dataset}`;
  const finds = facts.task === "detection" ? "boxes" : facts.activation === "sigmoid" && facts.labels.length > 2
    ? "any number of classes an image" : "one class an image";
  const said = { Finds: finds,
    Classes: facts.labels.length > 12 ? `${facts.labels.slice(0, 12).join(", ")} and ${facts.labels.length - 12} others`
      : facts.labels.join(", "),
    Score: scored, Licence: facts.licence, Network: facts.architecture.name, "Trained on": facts.training_data,
    ...facts.further };
  $("facts").replaceChildren(...Object.entries(said).flatMap(([key, text]) => [element("dt", key), element("dd", text)]));
  $("card").hidden = !facts.has_card;
  $("card").open = false;
  $("card-text").textContent = "";
}

async function show(chosen) {
  if (backend.stop) backend.stop();
  file = chosen;
  keep(null);
  await predict();
}

async function predict() {
  if (!file || !facts) return;
  const mine = ++asked;
  say("Asking the model …");
  try {
    const answer = await backend.predict(model(), file, facts);
    if (mine !== asked) return;
    const image = answer.image || shown || await decoded() || await createImageBitmap(await backend.draw(model(), file));
    if (mine !== asked) return;
    const [height, width] = answer.image_hw;
    say(`${width} × ${height} pixels, ${answer.ms.toFixed(0)} ms`);
    delete $("score").dataset.moved;
    $("score").value = Math.min(...(facts.score_thresholds || [0.3]));
    present(answer, image);
  } catch (error) {
    const image = shown || error instanceof RangeError ? shown : await decoded();
    if (mine !== asked) return;
    say(error.message, true);
    present(null, image);
  }
}

// The image for the eye; null where this browser does not know its format, and the backend has to draw it.
const decoded = () => createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);

function present(answer, image) {
  row = answer;
  keep(image);
  draw();
}

function keep(image) {
  if (shown && shown !== image) shown.close();
  shown = image;
}

const least = (it) => $("score").dataset.moved ? Number($("score").value) : (facts.score_thresholds || [])[it.index] ?? 0.3;

function draw() {
  const found = (row && row.detections || []).filter((it) => it.score >= least(it));
  drawImage(found);
  $("none").hidden = Boolean(row);
  $("unsure").hidden = !(row && row.unsure);
  $("least").hidden = !(row && row.detections);
  $("score-shown").textContent = $("score").dataset.moved ? percent(Number($("score").value)) : "the model's own";
  const rows = !row ? [] : row.predictions ? row.predictions.map(bar) : counts(found);
  $("rows").replaceChildren(...rows);
}

function bar(it) {
  const made = element("li", "", "row"), track = element("div", "", "track"), fill = element("div", "", "fill");
  fill.style.width = percent(it.score).replace(" ", "");
  track.append(fill);
  made.append(element("span", it.label.replaceAll("_", " ")), element("span", percent(it.score)), track);
  return made;
}

function counts(found) {
  const rows = facts.labels.map((label, index) => {
    const made = element("li", "", "row"), name = element("span"), dot = element("span", "", "dot");
    const count = found.filter((it) => it.index === index).length;
    dot.style.background = PALETTE[index % PALETTE.length];
    name.append(dot, label);
    made.append(name, element("span", String(count)));
    return [count, made];
  }).filter(([count], _, all) => count || all.length <= 12).map(([, made]) => made);
  const total = element("li", "", "row total");
  total.append(element("span", "all"), element("span", String(found.length)));
  return [...rows, total];
}

function drawImage(found) {
  const view = $("view"), isThere = Boolean(shown);
  $("hint").hidden = isThere;
  view.hidden = !isThere;
  $("drop").classList.toggle("full", isThere);
  if (!isThere) return;
  const scale = Math.min(1, 1600 / Math.max(shown.width, shown.height));
  view.width = Math.round(scale * shown.width);
  view.height = Math.round(scale * shown.height);
  const pen = view.getContext("2d");
  pen.drawImage(shown, 0, 0, view.width, view.height);
  const perPixel = view.width / (view.clientWidth || view.width), [height, width] = row ? row.image_hw : [1, 1];
  const text = Math.max(11 * perPixel, 0.022 * Math.sqrt(view.width * view.height));
  pen.font = `600 ${text}px system-ui, sans-serif`;
  pen.textBaseline = "top";
  pen.lineWidth = Math.max(2 * perPixel, text / 7);
  const boxes = [...found].reverse().map((it) => ({ ...it, colour: PALETTE[it.index % PALETTE.length],
    edges: it.box_xyxy.map((edge, at) => edge * (at % 2 ? view.height / height : view.width / width)) }));
  for (const { edges: [x1, y1, x2, y2], colour } of boxes) {
    pen.strokeStyle = colour;
    pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }
  for (const { edges: [x1, y1], colour, label, score } of boxes) {
    const caption = `${label} ${score.toFixed(2)}`, wide = pen.measureText(caption).width + text / 2;
    const top = y1 >= 1.25 * text ? y1 - 1.25 * text : y1, left = Math.min(x1, Math.max(0, view.width - wide));
    pen.fillStyle = colour;
    pen.fillRect(left, top, wide, 1.25 * text);
    pen.fillStyle = "#000";
    pen.fillText(caption, left + text / 4, top + text / 8);
  }
  view.setAttribute("aria-label", row && row.detections ? `The image with ${found.length} boxes`
    : row ? `The image; most likely ${row.predictions[0].label}` : "The image");
}

for (const id of ["file", "camera"]) $(id).addEventListener("change", (event) => {
  const [chosen] = event.target.files;
  event.target.value = "";
  if (chosen) show(chosen);
});
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => { if (event.dataTransfer.files[0]) show(event.dataTransfer.files[0]); });
document.addEventListener("paste", (event) => {
  const pasted = [...event.clipboardData.files].find((it) => it.type.startsWith("image/"));
  if (pasted) show(pasted);
});
$("score").addEventListener("input", () => { $("score").dataset.moved = "1"; draw(); });
$("model").addEventListener("change", async () => {
  row = null;
  draw();
  try { await describe(); await predict(); } catch (error) { say(error.message, true); }
});
$("card").addEventListener("toggle", async () => {
  if (!$("card").open || $("card-text").textContent) return;
  try { $("card-text").textContent = await backend.card(model()); } catch (error) { say(error.message, true); }
});
