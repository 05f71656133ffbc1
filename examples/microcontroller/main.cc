// Says what a camera sees, by TFLite Micro. ../c/vision.c makes the input; model_data.cc and model.h come of the Makefile and
// of `litevision quantize ... -o model.tflite --integers-alone --sidecar`. Apache-2.0.
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" {
#include "vision.h"
}

extern const unsigned char model_tflite[];
bool take_image(RgbImage *image); // the board's camera: yours to write

namespace {
alignas(16) uint8_t arena[112 * 1024]; // what arena.py says, and some to spare
} // namespace

int main()
{
    tflite::MicroMutableOpResolver<7> operators; // those that arena.py lists
    operators.AddConv2D();
    operators.AddDepthwiseConv2D();
    operators.AddFullyConnected();
    operators.AddMean();
    operators.AddQuantize();
    operators.AddReshape();
    operators.AddSoftmax();
    tflite::MicroInterpreter interpreter(tflite::GetModel(model_tflite), operators, arena, sizeof arena);
    if (interpreter.AllocateTensors() != kTfLiteOk)
        return 1;
    RgbImage image;
    while (take_image(&image)) {
        if (make_input(&image, interpreter.input(0)->data.uint8) != 0 || interpreter.Invoke() != kTfLiteOk)
            return 1;
        const int8_t *scores = interpreter.output(0)->data.int8; // of 256: -128 is 0
        int best = 0;
        for (int index = 1; index < MODEL_CLASSES; index++)
            best = scores[index] > scores[best] ? index : best;
        MicroPrintf("%s %d of 256", label_of(best), scores[best] + 128);
    }
    return 0;
}
