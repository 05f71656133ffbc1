/* Says what images show: ./predict model.onnx image.ppm... The model may also be the model.xml of a folder for OpenVINO, and
 * of a classifier a .tflite file. Apache-2.0. */
#include <openvino/c/openvino.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vision.h"

enum { TOP = 5, MOST_BOXES = 1000 };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void check(ov_status_e status, const char *what)
{
    if (status != OK)
        fail(what, ov_get_last_err_msg());
}

static RgbImage read_ppm(const char *path)
{
    RgbImage image = {0, 0, NULL};
    int most;
    size_t bytes;
    unsigned char *rgb;
    FILE *file = fopen(path, "rb");
    if (!file || fscanf(file, "P6 %d %d %d", &image.width, &image.height, &most) != 3 || fgetc(file) == EOF || most != 255
        || image.width < 1 || image.height < 1 || image.width > 16384 || image.height > 16384)
        fail(path, "not a binary PPM of 8 bits; djpeg of libjpeg-turbo makes one of a JPEG file");
    bytes = 3 * (size_t)image.width * image.height;
    rgb = malloc(bytes);
    if (!rgb || fread(rgb, 1, bytes, file) != bytes)
        fail(path, "cut short");
    fclose(file);
    image.rgb = rgb;
    return image;
}

/* Copies the output `name` as float, at most `most` numbers, and returns how many. */
static int output(const ov_infer_request_t *request, const char *name, float *values, int most)
{
    ov_tensor_t *tensor;
    ov_element_type_e type;
    size_t size;
    void *data;
    int at;
    check(ov_infer_request_get_tensor(request, name, &tensor), name);
    check(ov_tensor_get_element_type(tensor, &type), name);
    check(ov_tensor_get_size(tensor, &size), name);
    check(ov_tensor_data(tensor, &data), name);
    if (type != F32 && type != I32 && type != I64)
        fail(name, "not of a type that is read here; expected a bundle, or another file of floats");
    if (size > (size_t)most)
        fail(name, "more numbers than model.h says; export the model again with --sidecar");
    for (at = 0; at < (int)size; at++)
        values[at] = type == F32 ? ((float *)data)[at] : type == I64 ? (float)((long long *)data)[at] : (float)((int *)data)[at];
    ov_tensor_free(tensor);
    return (int)size;
}

/* Prints the answers for one image; `request` reads its input from `input`. */
static void predict(ov_infer_request_t *request, unsigned char *input, const char *path)
{
    RgbImage image = read_ppm(path);
    int at, found;
    if (make_input(&image, input))
        fail(path, "no memory");
    check(ov_infer_request_infer(request), path);
#if MODEL_FINDS_BOXES
    static float boxes[4 * MOST_BOXES], scores[MOST_BOXES], classes[MOST_BOXES];
    static Answer answers[MOST_BOXES];
    output(request, "boxes", boxes, 4 * MOST_BOXES);
    output(request, "classes", classes, MOST_BOXES);
    found = boxes_of(boxes, scores, classes, output(request, "scores", scores, MOST_BOXES), &image, answers);
#else
    static float probabilities[MODEL_CLASSES];
    Answer answers[TOP];
    output(request, "probabilities", probabilities, MODEL_CLASSES);
    found = best_classes(probabilities, answers, TOP);
#endif
    for (at = 0; at < found; at++) {
        printf("%s %s %.4f", path, label_of(answers[at].index), answers[at].score);
        if (MODEL_FINDS_BOXES) {
            const float *box = answers[at].box;
            printf(" %.1f %.1f %.1f %.1f", box[0], box[1], box[2], box[3]);
        }
        printf("\n");
    }
    free((void *)image.rgb);
}

int main(int count, char **arguments)
{
    static unsigned char input[MODEL_HEIGHT * MODEL_WIDTH * 3];
    int64_t sides[4] = {1, MODEL_HEIGHT, MODEL_WIDTH, 3};
    ov_core_t *core;
    ov_compiled_model_t *model;
    ov_infer_request_t *request;
    ov_shape_t shape;
    ov_tensor_t *tensor;
    int at;
    if (count < 3)
        fail("usage", "predict MODEL IMAGE.ppm...");
    check(ov_core_create(&core), "openvino");
    /* Left to itself it computes in bfloat16 where the processor can, which moves scores by up to 0.07. */
    check(ov_core_compile_model_from_file(core, arguments[1], "CPU", 2, &model, "INFERENCE_PRECISION_HINT", "f32"),
          arguments[1]);
    check(ov_compiled_model_create_infer_request(model, &request), arguments[1]);
    check(ov_shape_create(4, sides, &shape), "shape");
    check(ov_tensor_create_from_host_ptr(U8, shape, input, &tensor), "input");
    check(ov_infer_request_set_input_tensor(request, tensor), "input");
    for (at = 2; at < count; at++)
        predict(request, input, arguments[at]);
    ov_tensor_free(tensor);
    ov_shape_free(&shape);
    ov_infer_request_free(request);
    ov_compiled_model_free(model);
    ov_core_free(core);
    return 0;
}
