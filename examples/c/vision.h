/* From an image to a model's input, and from its output to answers, as litevision itself does both: no allocation but one
 * buffer, no dependency. `model.h`, which `litevision export --sidecar` writes, holds the model's own facts. Apache-2.0. */
#ifndef VISION_H
#define VISION_H

#include "model.h"

/* An image: RGB, 8 bits each, rows from the top without gaps. */
typedef struct {
    int width, height;
    const unsigned char *rgb;
} RgbImage;

/* Which part of an image is used, and where it lands in the input: x1, y1, x2, y2 in px. */
typedef struct {
    double source[4];
    int target[4];
} Place;

/* An answer: a class, and of detectors its box, x1, y1, x2, y2 in px of the image. */
typedef struct {
    int index;
    float score;
    float box[4];
} Answer;

/* The name of a class, in UTF-8. */
const char *label_of(int index);

Place place_of(int image_width, int image_height);

/* Writes the input, MODEL_HEIGHT * MODEL_WIDTH * 3 bytes of RGB. Returns 0, or -1 where memory is lacking. */
int make_input(const RgbImage *image, unsigned char *input);

/* Writes the `most` likeliest classes, the best first, and returns how many. */
int best_classes(const float *probabilities, Answer *answers, int most);

/* Writes the boxes that count, in the model's order, the surest first, and returns how many.
 * boxes: `count` times x1, y1, x2, y2 in px of the input; answers: room for `count`. */
int boxes_of(const float *boxes, const float *scores, const float *classes, int count, const RgbImage *image, Answer *answers);

#endif
