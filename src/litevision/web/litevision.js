/*
 * litevision.js: run a bundle (.onnx) of litevision in a browser, by onnxruntime-web. Apache-2.0.
 *
 *   import * as ort from "./ort.wasm.bundle.min.mjs";
 *   import { open } from "./litevision.js";
 *   const model = await open(ort, "model.onnx");
 *   const { predictions } = await model.predict(file);   // of a detector: { detections }
 *
 * The bundle's own record says how an image becomes the input and what the answer means. The resize gives the bytes of
 * Pillow's: two passes, rows first, in fixed point, with antialiasing.
 */

const RECORD_KEY = "litevision";
const DEFAULT_SCORE = 0.3;
const LETTERBOX_GREY = 114;
const MOST_BYTES = 256 * 2 ** 20;
const MOST_PIXELS = 64e6;
const MOST_WHOLE_PIXELS = 2 ** 20;
const TILE_PX = 4096, STRIP_PIXELS = 2 ** 20; // browsers limit a canvas' sides, and phones its area
const FIXED_BITS = 22;
const FILTERS = {
  bilinear: { reach: 1, weight: (x) => (x < 1 ? 1 - x : 0) },
  bicubic: { reach: 2, weight: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0) },
};

/**
 * Opens a bundle.
 * @param {object} ort onnxruntime-web's module.
 * @param {string|URL|ArrayBuffer|Uint8Array} bundle the file, or its address.
 * @returns {Promise<Model>}
 */
export async function open(ort, bundle) {
  let bytes = bundle;
  if (typeof bundle === "string" || bundle instanceof URL) {
    const answer = await fetch(bundle);
    if (!answer.ok) throw new Error(`${bundle}: ${answer.status} ${answer.statusText}`);
    bytes = await answer.arrayBuffer();
  }
  bytes = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  const record = readRecord(bytes);
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return new Model(ort, session, record);
}

/** An opened bundle. */
export class Model {
  constructor(ort, session, record) {
    this.ort = ort;
    this.session = session;
    this.record = record;
    this.labels = record.labels;
    this.queue = Promise.resolve();
  }

  /**
   * Answers for one image, as `litevision classify --json` and `detect --json` do.
   * @param {Pixels|Blob|ImageBitmap|HTMLVideoElement|HTMLImageElement|HTMLCanvasElement|ImageData} source
   * @param {{top?: number, score?: number}} options the most classes; the least score of a box, in [0, 1], in place of
   *   the bundle's thresholds.
   */
  async predict(source, { top = 5, score } = {}) {
    const image = source instanceof Pixels ? source : await readImage(source);
    try {
      const started = performance.now();
      const outputs = await this.run(preprocess(image, this.record.preprocess));
      const numbers = (outputs.probabilities || outputs.scores).data;
      if (!numbers.every(Number.isFinite)) throw new Error("the model outputs NaN or inf; its weights are corrupted.");
      const image_hw = [image.height, image.width];
      const answer = this.record.task === "detection"
        ? { detections: detectionsOf(outputs, this.record, image_hw, score) }
        : predictionsOf(numbers, this.record, top);
      return { ...answer, image_hw, ms: performance.now() - started };
    } finally {
      if (image !== source) image.close();
    }
  }

  /** Runs the graph on one input, uint8[H, W, 3], after those that came before. */
  run(input) {
    const [height, width] = this.record.preprocess.size_hw;
    const run = () => this.session.run({ images: new this.ort.Tensor("uint8", input, [1, height, width, 3]) });
    const answer = this.queue.then(run);
    this.queue = answer.catch(() => {});
    return answer;
  }
}

/** Reads the record of a bundle: JSON among the metadata of the ONNX file, which is a message of protobuf. */
export function readRecord(bytes) {
  const text = new TextDecoder();
  for (const [field, model] of fieldsOf(bytes)) {
    if (field !== 14) continue;
    const entry = Object.fromEntries([...fieldsOf(model)].map(([key, value]) => [key, text.decode(value)]));
    if (entry[1] === RECORD_KEY) return JSON.parse(entry[2]);
  }
  throw new Error("not a bundle of litevision: no record in it. Make one with 'litevision export'.");
}

/** The fields of a message of protobuf that hold bytes: their numbers and bytes. */
function* fieldsOf(bytes) {
  let at = 0;
  const number = () => {
    let value = 0, scale = 1, byte;
    do {
      if (at >= bytes.length) throw new Error("not an ONNX file, or one that is cut short.");
      byte = bytes[at++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte & 128);
    return value;
  };
  while (at < bytes.length) {
    const tag = number(), kind = tag % 8;
    if (kind === 0) number();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = number();
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    } else throw new Error("not an ONNX file.");
  }
}

/**
 * Decodes an image by the browser: upright, in sRGB.
 * @param {Blob|ImageBitmap|HTMLVideoElement|HTMLImageElement|HTMLCanvasElement|ImageData} source
 * @returns {Promise<Pixels>}
 */
export async function readImage(source) {
  if (source instanceof Blob) await checkFile(source);
  try {
    return new Pixels(await createImageBitmap(source, { imageOrientation: "from-image" }));
  } catch {
    throw new Error(`${nameOf(source)}: not an image that this browser reads, or a damaged one; expected JPEG, PNG, WebP, `
      + "GIF, BMP or AVIF.");
  }
}

/** A decoded image: `bitmap`, `width` and `height`. */
export class Pixels {
  constructor(bitmap) {
    Object.assign(this, { bitmap, width: bitmap.width, height: bitmap.height });
  }

  /** The rows from one to before another as RGBA, opaque: what is transparent lies on white. */
  rows(from, to) {
    const { bitmap, width } = this, height = to - from;
    const whole = width <= TILE_PX ? null : new Uint8ClampedArray(4 * width * height);
    for (let left = 0; left < width; left += TILE_PX) {
      const wide = Math.min(TILE_PX, width - left);
      const canvas = typeof OffscreenCanvas !== "undefined" ? new OffscreenCanvas(wide, height)
        : Object.assign(document.createElement("canvas"), { width: wide, height });
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, wide, height);
      pen.drawImage(bitmap, left, from, wide, height, 0, 0, wide, height);
      const { data } = pen.getImageData(0, 0, wide, height);
      if (!whole) return data;
      for (let row = 0; row < height; row++) {
        whole.set(data.subarray(4 * wide * row, 4 * wide * (row + 1)), 4 * (width * row + left));
      }
    }
    return whole;
  }

  close() {
    this.bitmap.close();
  }
}

const nameOf = (source) => source.name || "the image";

/** Refuses a file that is too large, by its header, before it is decoded. */
async function checkFile(file) {
  if (file.size === 0) throw new Error(`${nameOf(file)}: the file is empty (0 bytes).`);
  if (file.size > MOST_BYTES) {
    throw new RangeError(`${nameOf(file)}: ${Math.round(file.size / 1e6)} MB, more than the limit of ${Math.round(MOST_BYTES / 1e6)}.`);
  }
  if (typeof Image === "undefined") return; // a worker
  const address = URL.createObjectURL(file), header = new Image();
  try {
    await new Promise((resolve) => { header.onload = header.onerror = resolve; header.src = address; });
    const { naturalWidth: width, naturalHeight: height } = header;
    if (width * height > MOST_PIXELS) {
      throw new RangeError(`${nameOf(file)}: ${width} × ${height} = ${Math.round(width * height / 1e6)} million pixels, more `
        + `than the ${MOST_PIXELS / 1e6} million that are read here. Make the image smaller first.`);
    }
  } finally {
    header.src = "";
    URL.revokeObjectURL(address);
  }
}

/** Half to even, as Python rounds. */
const round = (value) => {
  const below = Math.floor(value), rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
};

/** Which part of an image is used, and where it lands in the input: `source` and `target`, (x1, y1, x2, y2) in px. */
export function geometry({ size_hw, resize_px, crop, align }, [height, width]) {
  let resized = size_hw;
  if (crop === "letterbox") {
    const scale = Math.min(size_hw[0] / height, size_hw[1] / width);
    resized = [Math.max(1, round(height * scale)), Math.max(1, round(width * scale))];
  } else if (crop === "center") {
    const long = Math.trunc(resize_px * Math.max(height, width) / Math.min(height, width));
    resized = height <= width ? [resize_px, long] : [long, resize_px];
  }
  const isFirst = crop === "letterbox" && align === "top-left";
  const [top, bottom, y1, y2] = placeAxis(height, resized[0], size_hw[0], isFirst);
  const [left, right, x1, x2] = placeAxis(width, resized[1], size_hw[1], isFirst);
  return { source: [left, top, right, bottom], target: [x1, y1, x2, y2] };
}

function placeAxis(length, resized, out, isFirst) {
  if (resized <= out) {
    const before = isFirst ? 0 : Math.floor((out - resized) / 2);
    return [0, length, before, before + resized];
  }
  const start = round((resized - out) / 2);
  return [start * length / resized, (start + out) * length / resized, 0, out];
}

/** Makes the input uint8[H, W, 3] of decoded pixels, as the record's `preprocess` says. */
export function preprocess(image, how) {
  const [height, width] = how.size_hw, { source, target: [x1, y1, x2, y2] } = geometry(how, [image.height, image.width]);
  const part = resize(image, source, x2 - x1, y2 - y1, FILTERS[how.interpolation]);
  const input = new Uint8Array(height * width * 3).fill(how.crop === "letterbox" ? how.pad_value ?? LETTERBOX_GREY : 0);
  const bytes = 3 * (x2 - x1);
  for (let row = y1; row < y2; row++) {
    input.set(part.subarray((row - y1) * bytes, (row - y1 + 1) * bytes), 3 * (row * width + x1));
  }
  return input;
}

/** Resizes a part of an image to uint8[height, width, 3]; pixels around the part take part at its edges. */
function resize(image, [x1, y1, x2, y2], width, height, filter) {
  const scaleX = (x2 - x1) / width, scaleY = (y2 - y1) / height;
  const whole = [round(image.width / scaleX), round(image.height / scaleY)];
  let columns, rows, top = 0, bottom = image.height;
  if (Math.max(scaleX, scaleY) >= 1.5 || whole[0] * whole[1] > MOST_WHOLE_PIXELS) {
    const reach = 2 * Math.max(1, scaleY) + 1;
    top = Math.max(0, Math.trunc(y1 - reach));
    bottom = Math.min(image.height, Math.trunc(y2 + reach) + 1);
    columns = taps(image.width, x1, x2, width, filter);
    rows = taps(bottom - top, y1 - top, y2 - top, height, filter);
  } else { // the whole is resized, of which this is a part
    columns = taps(image.width, 0, image.width, whole[0], filter, round(x1 / scaleX), width);
    rows = taps(image.height, 0, image.height, whole[1], filter, round(y1 / scaleY), height);
  }
  const half = new Uint8Array((bottom - top) * width * 3), step = Math.max(1, Math.floor(STRIP_PIXELS / image.width));
  for (let from = top; from < bottom; from += step) {
    const to = Math.min(bottom, from + step);
    blend(image.rows(from, to), half.subarray((from - top) * width * 3), columns, { lines: to - from, line: 4 * image.width,
      tap: 4, outLine: 3 * width, outTap: 3 });
  }
  const made = new Uint8Array(height * width * 3);
  blend(half, made, rows, { lines: width, line: 3, tap: 3 * width, outLine: 3, outTap: 3 * width });
  return made;
}

/** For each place of an axis that is resized: from which one of the other pixels on, and with which weights. */
function taps(length, from, to, out, filter, first = 0, count = out) {
  const start = Math.fround(from), scale = Math.fround(Math.fround(to) - start) / out; // Pillow keeps a box in float32
  const stretch = Math.max(1, scale), reach = filter.reach * stretch, most = 2 * Math.ceil(reach) + 1;
  const made = { count, most, firsts: new Int32Array(count), counts: new Int32Array(count), weights: new Int32Array(count * most) };
  for (let place = 0; place < count; place++) {
    const center = start + (first + place + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - reach + 0.5)), high = Math.min(length, Math.trunc(center + reach + 0.5));
    const weights = [];
    let sum = 0;
    for (let at = 0; at < high - low; at++) {
      weights.push(filter.weight(Math.abs((at + low - center + 0.5) * (1 / stretch))));
      sum += weights[at];
    }
    made.firsts[place] = low;
    made.counts[place] = high - low;
    weights.forEach((weight, at) => {
      const share = sum ? weight / sum : weight;
      made.weights[place * most + at] = Math.trunc((share < 0 ? -0.5 : 0.5) + share * 2 ** FIXED_BITS);
    });
  }
  return made;
}

/** One pass of a resize: along the taps of each line, in fixed point, rounded and clipped to 8 bits. */
function blend(from, into, { count, most, firsts, counts, weights }, { lines, line, tap, outLine, outTap }) {
  for (let row = 0; row < lines; row++) {
    for (let place = 0; place < count; place++) {
      let at = row * line + firsts[place] * tap, weight = place * most;
      let red = 1 << (FIXED_BITS - 1), green = red, blue = red;
      for (let left = counts[place]; left > 0; left--, weight++, at += tap) {
        const share = weights[weight];
        red += from[at] * share;
        green += from[at + 1] * share;
        blue += from[at + 2] * share;
      }
      const out = row * outLine + place * outTap;
      into[out] = clip(red);
      into[out + 1] = clip(green);
      into[out + 2] = clip(blue);
    }
  }
}

function clip(fixed) {
  const value = fixed >> FIXED_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** The likeliest classes, the best first, and whether the model is unsure where its record can tell. */
export function predictionsOf(probabilities, { labels, calibration }, top = 5) {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const predictions = order.slice(0, top).map((index) => ({ label: labels[index], score: probabilities[index], index }));
  if (!calibration) return { predictions };
  const best = probabilities[order[0]];
  const confidence = 1 / probabilities.reduce((sum, it) => sum + Math.exp(Math.log(it / best) / calibration.temperature), 0);
  return { predictions, confidence, unsure: confidence < calibration.unsure_below };
}

/** The boxes that count, the surest first, in px of the image. */
export function detectionsOf({ boxes, scores, classes }, { labels, preprocess: how, score_thresholds }, image_hw, score) {
  const { source, target } = geometry(how, image_hw), limits = [image_hw[1], image_hw[0]];
  const least = (index) => Math.fround(score ?? (score_thresholds ? score_thresholds[index] : DEFAULT_SCORE));
  const found = [];
  for (let row = 0; row < scores.data.length; row++) {
    const index = Number(classes.data[row]);
    if (!(scores.data[row] >= least(index))) continue;
    const box_xyxy = [0, 1, 2, 3].map((edge) => {
      const axis = edge % 2, ratio = (source[axis + 2] - source[axis]) / (target[axis + 2] - target[axis]);
      const place = (boxes.data[4 * row + edge] - target[axis]) * ratio + source[axis];
      return Math.min(limits[axis], Math.max(0, Math.fround(place)));
    });
    const [x1, y1, x2, y2] = box_xyxy;
    if (x2 > x1 && y2 > y1) found.push({ label: labels[index], score: scores.data[row], index, box_xyxy });
  }
  return found.sort((a, b) => b.score - a.score);
}
