// Says what a chosen photo shows. model.tflite and model.json (--sidecar) lie in src/main/assets. Apache-2.0.
package vision

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import org.json.JSONArray
import org.json.JSONObject
import org.tensorflow.lite.Interpreter
import java.nio.ByteBuffer
import java.nio.ByteOrder

class MainActivity : Activity() {
    private val facts by lazy { facts(JSONObject(assets.open("model.json").bufferedReader().readText())) }
    private val model by lazy {
        val bytes = assets.open("model.tflite").readBytes()
        Interpreter(ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes))
    }
    private lateinit var shown: TextView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        shown = TextView(this)
        val choose = Button(this).apply {
            text = "Photo"
            setOnClickListener { startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), 1) }
        }
        setContentView(LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            addView(choose)
            addView(shown)
        })
    }

    @Deprecated("The short way, for a sample")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val address = data?.data ?: return
        val bitmap = ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, address)) { decoder, _, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        }
        shown.text = predict(bitmap).joinToString("\n") { "${it.label} ${it.score} ${it.box?.toList() ?: ""}" }
    }

    private fun predict(bitmap: Bitmap): List<Answer> {
        val vision = Vision(facts)
        val pixels = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        val input = ByteBuffer.wrap(vision.input(pixels, bitmap.width, bitmap.height))
        if (model.outputTensorCount == 1) {
            val probabilities = Array(1) { FloatArray(facts.labels.size) }
            model.run(input, probabilities)
            return vision.classes(probabilities[0])
        }
        val most = model.getOutputTensor(0).shape()[1]
        val locations = Array(1) { Array(most) { FloatArray(4) } }
        val categories = Array(1) { FloatArray(most) }
        val scores = Array(1) { FloatArray(most) }
        model.runForMultipleInputsOutputs(
            arrayOf(input), mapOf(0 to locations, 1 to categories, 2 to scores, 3 to FloatArray(1)),
        )
        return vision.boxes(locations[0], categories[0], scores[0], bitmap.width, bitmap.height)
    }

    private fun facts(record: JSONObject): Facts {
        val model = record.getJSONObject("model")
        val how = model.getJSONObject("preprocess")
        val labels = model.getJSONArray("labels").let { all -> List(all.length()) { all.getString(it) } }
        val thresholds = model.optJSONArray("score_thresholds")
        val size: JSONArray = how.getJSONArray("size_hw")
        val crop = how.getString("crop")
        return Facts(
            labels, size.getInt(0), size.getInt(1), how.getInt("resize_px"), crop, how.getString("interpolation"),
            if (crop == "letterbox") how.optInt("pad_value", 114) else 0, how.optString("align") == "top-left",
            labels.indices.map { thresholds?.getDouble(it)?.toFloat() ?: 0.3f },
        )
    }
}
