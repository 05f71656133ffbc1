// From an image to the input of a model by litevision, and from its output to answers, as litevision itself does both.
// Nothing of Android here: it runs on any JVM. Apache-2.0.
package vision

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min

/** What model.json (`--sidecar`) says of the model, under "model". */
class Facts(
    val labels: List<String>,
    val height: Int,
    val width: Int,
    val resize: Int,
    val crop: String,
    val interpolation: String,
    val padding: Int,
    val isTopLeft: Boolean,
    val thresholds: List<Float>,
)

/** A class, and of detectors its box: x1, y1, x2, y2 in pixels of the image. */
class Answer(val label: String, val score: Float, val box: FloatArray? = null)

class Vision(private val facts: Facts) {
    private val reach = if (facts.interpolation == "bilinear") 1 else 2

    /** Makes the input, height * width * 3 bytes of RGB, of pixels as Bitmap.getPixels gives them, 0xAARRGGBB. */
    fun input(pixels: IntArray, imageWidth: Int, imageHeight: Int): ByteArray {
        val x = place(imageWidth, resized(imageWidth, imageHeight).first, facts.width)
        val y = place(imageHeight, resized(imageWidth, imageHeight).second, facts.height)
        val scaleX = (x.to - x.from) / (x.end - x.start)
        val scaleY = (y.to - y.from) / (y.end - y.start)
        val wholeWidth = Math.rint(imageWidth / scaleX)
        val wholeHeight = Math.rint(imageHeight / scaleY)
        var top = 0
        var bottom = imageHeight
        val columns: List<Taps>
        val rows: List<Taps>
        if (max(scaleX, scaleY) >= 1.5 || wholeWidth * wholeHeight > MOST_WHOLE_PIXELS) {
            val around = 2 * max(1.0, scaleY) + 1
            top = max(0, (y.from - around).toInt())
            bottom = min(imageHeight, (y.to + around).toInt() + 1)
            columns = taps(imageWidth, x.from, x.to, x.end - x.start, 0, x.end - x.start)
            rows = taps(bottom - top, y.from - top, y.to - top, y.end - y.start, 0, y.end - y.start)
        } else { // the whole is resized, of which this is a part
            val left = Math.rint(x.from / scaleX).toInt()
            val above = Math.rint(y.from / scaleY).toInt()
            columns = taps(imageWidth, 0.0, imageWidth.toDouble(), wholeWidth.toInt(), left, x.end - x.start)
            rows = taps(imageHeight, 0.0, imageHeight.toDouble(), wholeHeight.toInt(), above, y.end - y.start)
        }
        val half = Array(bottom - top) { row ->
            IntArray(columns.size) { at -> columns[at].blend { pixels[(top + row) * imageWidth + it] } }
        }
        val input = ByteArray(facts.height * facts.width * 3) { facts.padding.toByte() }
        for (row in rows.indices) for (column in columns.indices) {
            val rgb = rows[row].blend { half[it][column] }
            val at = 3 * ((y.start + row) * facts.width + x.start + column)
            input[at] = (rgb shr 16).toByte()
            input[at + 1] = (rgb shr 8).toByte()
            input[at + 2] = rgb.toByte()
        }
        return input
    }

    /** The likeliest classes, the best first. */
    fun classes(probabilities: FloatArray, most: Int = 5): List<Answer> =
        probabilities.indices.sortedByDescending { probabilities[it] }.take(most)
            .map { Answer(facts.labels[it], probabilities[it]) }

    /** The boxes that count; the arguments are the outputs of a .tflite detector, boxes as top, left, bottom, right. */
    fun boxes(
        locations: Array<FloatArray>, categories: FloatArray, scores: FloatArray, imageWidth: Int, imageHeight: Int,
    ): List<Answer> {
        val (resizedWidth, resizedHeight) = resized(imageWidth, imageHeight)
        val x = place(imageWidth, resizedWidth, facts.width)
        val y = place(imageHeight, resizedHeight, facts.height)
        return scores.indices.filter { scores[it] >= facts.thresholds[categories[it].toInt()] }.map {
            val (top, left, bottom, right) = locations[it]
            val box = floatArrayOf(
                x.back(left * facts.width, imageWidth), y.back(top * facts.height, imageHeight),
                x.back(right * facts.width, imageWidth), y.back(bottom * facts.height, imageHeight),
            )
            Answer(facts.labels[categories[it].toInt()], scores[it], box)
        }.filter { it.box!![2] > it.box[0] && it.box[3] > it.box[1] }
    }

    /** Along one axis, which part of the image is used and where it lands in the input, px. */
    private class Place(val from: Double, val to: Double, val start: Int, val end: Int) {
        fun back(edge: Float, limit: Int): Float =
            ((edge - start) * ((to - from) / (end - start)) + from).toFloat().coerceIn(0f, limit.toFloat())
    }

    private fun resized(imageWidth: Int, imageHeight: Int): Pair<Int, Int> = when (facts.crop) {
        "letterbox" -> {
            val scale = min(facts.height.toDouble() / imageHeight, facts.width.toDouble() / imageWidth)
            Pair(max(1, Math.rint(imageWidth * scale).toInt()), max(1, Math.rint(imageHeight * scale).toInt()))
        }
        "center" -> {
            val long = (facts.resize.toDouble() * max(imageWidth, imageHeight) / min(imageWidth, imageHeight)).toInt()
            if (imageHeight <= imageWidth) Pair(long, facts.resize) else Pair(facts.resize, long)
        }
        else -> Pair(facts.width, facts.height)
    }

    private fun place(length: Int, resized: Int, out: Int): Place {
        if (resized <= out) {
            val before = if (facts.isTopLeft) 0 else (out - resized) / 2
            return Place(0.0, length.toDouble(), before, before + resized)
        }
        val start = Math.rint((resized - out) / 2.0)
        return Place(start * length / resized, (start + out) * length / resized, 0, out)
    }

    /** The pixels of which one place of a resized axis is made: the first, and the weight of each, in fixed point. */
    private class Taps(val first: Int, val weights: IntArray) {
        inline fun blend(pixel: (Int) -> Int): Int {
            var red = 1 shl (FIXED_BITS - 1)
            var green = red
            var blue = red
            for (at in weights.indices) {
                val rgb = pixel(first + at)
                red += (rgb shr 16 and 255) * weights[at]
                green += (rgb shr 8 and 255) * weights[at]
                blue += (rgb and 255) * weights[at]
            }
            return (clip(red) shl 16) or (clip(green) shl 8) or clip(blue)
        }

        fun clip(fixed: Int): Int = (fixed shr FIXED_BITS).coerceIn(0, 255)
    }

    private fun taps(length: Int, from: Double, to: Double, out: Int, skip: Int, count: Int): List<Taps> {
        val start = from.toFloat() // Pillow keeps a box in float
        val scale = (to.toFloat() - start).toDouble() / out
        val stretch = max(1.0, scale)
        return List(count) { place ->
            val center = start + (skip + place + 0.5) * scale
            val first = max(0, (center - reach * stretch + 0.5).toInt())
            val end = min(length, (center + reach * stretch + 0.5).toInt())
            val weights = DoubleArray(end - first) { weight(abs((it + first - center + 0.5) * (1 / stretch))) }
            var sum = 0.0
            for (each in weights) sum += each
            Taps(first, IntArray(weights.size) {
                val share = if (sum != 0.0) weights[it] / sum else weights[it]
                ((if (share < 0) -0.5 else 0.5) + share * (1 shl FIXED_BITS)).toInt()
            })
        }
    }

    private fun weight(x: Double): Double = when {
        facts.interpolation == "bilinear" -> if (x < 1) 1 - x else 0.0
        x < 1 -> (1.5 * x - 2.5) * x * x + 1
        x < 2 -> (((x - 5) * x + 8) * x - 4) * -0.5
        else -> 0.0
    }

    companion object {
        private const val FIXED_BITS = 22
        private const val MOST_WHOLE_PIXELS = 1 shl 20
    }
}
