// Says what images show, in Node: node predict.mjs SITE IMAGE.ppm..., after: litevision page clothing -o SITE
// Of the page's folder it takes litevision.js, model.onnx and onnxruntime-web; Node needs no package. Apache-2.0.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [site, ...files] = process.argv.slice(2);
if (!files.length) throw new Error("usage: node predict.mjs SITE IMAGE.ppm...");
const load = (name) => import(pathToFileURL(resolve(site, name)));
const ort = await load("ort.wasm.bundle.min.mjs");
const { open, Pixels } = await load("litevision.js");

/** Decoded RGB pixels, as `sharp(file).removeAlpha().raw()` gives them too. */
class Rgb extends Pixels {
  constructor(rgb, width, height) {
    super({ width, height, close() {} });
    this.rgb = rgb;
  }

  rows(from, to) {
    const rgba = new Uint8Array(4 * this.width * (to - from));
    for (let at = 0, pixel = 3 * this.width * from; at < rgba.length; at += 4, pixel += 3) {
      rgba.set(this.rgb.subarray(pixel, pixel + 3), at);
    }
    return rgba;
  }
}

function readPpm(path) {
  const bytes = readFileSync(path), header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 100));
  if (!header) throw new Error(`${path}: not a binary PPM of 8 bits`);
  return new Rgb(bytes.subarray(header[0].length), Number(header[1]), Number(header[2]));
}

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync(resolve(site, "ort-wasm-simd-threaded.wasm"));
const model = await open(ort, readFileSync(resolve(site, "model.onnx")));
for (const file of files) {
  const { predictions, detections } = await model.predict(readPpm(file));
  for (const { label, score, box_xyxy = [] } of predictions || detections) {
    console.log(file, label, score.toFixed(4), ...box_xyxy.map((edge) => edge.toFixed(1)));
  }
}
