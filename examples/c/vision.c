#include "vision.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED_BITS = 22, MOST_WHOLE_PIXELS = 1 << 20 };

/* Of one place of an axis that is resized: the first of the pixels that it is made of, how many, and their weights. */
typedef struct {
    int first, count;
    int *weights;
} Taps;

/* One axis that is resized: the edges of a part of `length` pixels become `out` places, of which `count` from `skip` on
 * are wanted. */
typedef struct {
    int length;
    double from, to;
    int out, skip, count;
} Axis;

const char *label_of(int index) { return MODEL_LABELS[index]; }

static double larger(double a, double b) { return a > b ? a : b; }

static int inside(double value, int most) { return value < 0 ? 0 : value > most ? most : (int)value; }

static void place_axis(int length, int resized, int out, double *source, int *target)
{
    if (resized <= out) {
        int before = MODEL_ALIGN_TOP_LEFT ? 0 : (out - resized) / 2;
        source[0] = 0;
        source[2] = length;
        target[0] = before;
        target[2] = before + resized;
    } else {
        double start = nearbyint((resized - out) / 2.0);
        source[0] = start * length / resized;
        source[2] = (start + out) * length / resized;
        target[0] = 0;
        target[2] = out;
    }
}

Place place_of(int width, int height)
{
    Place place;
    int resized_width = MODEL_WIDTH, resized_height = MODEL_HEIGHT;
    if (MODEL_CROP == MODEL_LETTERBOX) {
        double tall = (double)MODEL_HEIGHT / height, wide = (double)MODEL_WIDTH / width, scale = tall < wide ? tall : wide;
        resized_width = (int)larger(1, nearbyint(width * scale));
        resized_height = (int)larger(1, nearbyint(height * scale));
    } else if (MODEL_CROP == MODEL_CENTER) {
        int is_wide = height <= width;
        int longer = (int)((double)MODEL_RESIZE * (is_wide ? width : height) / (is_wide ? height : width));
        resized_width = is_wide ? longer : MODEL_RESIZE;
        resized_height = is_wide ? MODEL_RESIZE : longer;
    }
    place_axis(width, resized_width, MODEL_WIDTH, place.source, place.target);
    place_axis(height, resized_height, MODEL_HEIGHT, place.source + 1, place.target + 1);
    return place;
}

static double weight_at(double x)
{
    x = fabs(x);
    if (MODEL_INTERPOLATION == MODEL_BILINEAR)
        return x < 1 ? 1 - x : 0;
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/* The taps of one place; the box of a resize is kept in float, as Pillow keeps it. */
static void find_taps(const Axis *axis, int place, Taps *taps)
{
    float start = (float)axis->from;
    double scale = (double)((float)axis->to - start) / axis->out, stretch = larger(1, scale), sum = 0;
    double reach = (MODEL_INTERPOLATION == MODEL_BILINEAR ? 1 : 2) * stretch;
    double center = start + (axis->skip + place + 0.5) * scale;
    int at;
    taps->first = inside(center - reach + 0.5, axis->length);
    taps->count = inside(center + reach + 0.5, axis->length) - taps->first;
    for (at = 0; at < taps->count; at++)
        sum += weight_at((at + taps->first - center + 0.5) * (1 / stretch));
    for (at = 0; at < taps->count; at++) {
        double weight = weight_at((at + taps->first - center + 0.5) * (1 / stretch));
        if (sum != 0)
            weight /= sum;
        taps->weights[at] = (int)((weight < 0 ? -0.5 : 0.5) + weight * (1 << FIXED_BITS));
    }
}

/* One pass of a resize: `lines` lines, `line` bytes apart, whose pixels are `step` bytes apart. */
static int blend(const unsigned char *from, int line, int step, unsigned char *into, int out_line, int out_step, int lines,
                 const Axis *axis)
{
    double stretch = larger(1, (axis->to - axis->from) / axis->out);
    Taps taps;
    int place, row, at, color;
    taps.weights = malloc((2 * (size_t)ceil(2 * stretch) + 2) * sizeof(int));
    if (!taps.weights)
        return -1;
    for (place = 0; place < axis->count; place++) {
        find_taps(axis, place, &taps);
        for (row = 0; row < lines; row++) {
            const unsigned char *pixel = from + (size_t)row * line + (size_t)taps.first * step;
            unsigned char *made = into + (size_t)row * out_line + (size_t)place * out_step;
            int sums[3] = {1 << (FIXED_BITS - 1), 1 << (FIXED_BITS - 1), 1 << (FIXED_BITS - 1)};
            for (at = 0; at < taps.count; at++, pixel += step)
                for (color = 0; color < 3; color++)
                    sums[color] += pixel[color] * taps.weights[at];
            for (color = 0; color < 3; color++) {
                int value = sums[color] >> FIXED_BITS;
                made[color] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
            }
        }
    }
    free(taps.weights);
    return 0;
}

int make_input(const RgbImage *image, unsigned char *input)
{
    Place place = place_of(image->width, image->height);
    const double *source = place.source;
    int width = place.target[2] - place.target[0], height = place.target[3] - place.target[1], failed;
    double scale_x = (source[2] - source[0]) / width, scale_y = (source[3] - source[1]) / height;
    double whole_width = nearbyint(image->width / scale_x), whole_height = nearbyint(image->height / scale_y);
    int top = 0, bottom = image->height;
    Axis columns = {image->width, source[0], source[2], width, 0, width};
    Axis rows = {0, 0, 0, height, 0, height};
    unsigned char *half;
    if (larger(scale_x, scale_y) >= 1.5 || whole_width * whole_height > MOST_WHOLE_PIXELS) {
        double reach = 2 * larger(1, scale_y) + 1; /* the rows that take part */
        top = inside(source[1] - reach, image->height);
        bottom = inside(floor(source[3] + reach) + 1, image->height);
        rows.from = source[1] - top;
        rows.to = source[3] - top;
    } else { /* the whole is resized, of which this is a part */
        columns.from = 0;
        columns.to = image->width;
        columns.out = (int)whole_width;
        columns.skip = (int)nearbyint(source[0] / scale_x);
        rows.to = image->height;
        rows.out = (int)whole_height;
        rows.skip = (int)nearbyint(source[1] / scale_y);
    }
    rows.length = bottom - top;
    half = malloc((size_t)(bottom - top) * width * 3);
    if (!half)
        return -1;
    memset(input, MODEL_PADDING, (size_t)MODEL_HEIGHT * MODEL_WIDTH * 3);
    input += 3 * ((size_t)place.target[1] * MODEL_WIDTH + place.target[0]);
    failed = blend(image->rgb + (size_t)top * image->width * 3, 3 * image->width, 3, half, 3 * width, 3, bottom - top, &columns)
             || blend(half, 3, 3 * width, input, 3, 3 * MODEL_WIDTH, width, &rows);
    free(half);
    return failed ? -1 : 0;
}

int best_classes(const float *probabilities, Answer *answers, int most)
{
    int index, at, count = 0;
    for (index = 0; index < MODEL_CLASSES; index++) {
        for (at = count; at > 0 && probabilities[index] > answers[at - 1].score; at--)
            if (at < most)
                answers[at] = answers[at - 1];
        if (at < most) {
            memset(&answers[at], 0, sizeof(Answer));
            answers[at].index = index;
            answers[at].score = probabilities[index];
            count += count < most;
        }
    }
    return count;
}

#if MODEL_FINDS_BOXES
int boxes_of(const float *boxes, const float *scores, const float *classes, int count, const RgbImage *image, Answer *answers)
{
    Place place = place_of(image->width, image->height);
    int row, edge, found = 0;
    for (row = 0; row < count; row++) {
        Answer *answer = &answers[found];
        answer->index = (int)classes[row];
        answer->score = scores[row];
        if (!(answer->score >= MODEL_THRESHOLDS[answer->index]))
            continue;
        for (edge = 0; edge < 4; edge++) {
            int axis = edge % 2, limit = axis ? image->height : image->width;
            double ratio = (place.source[axis + 2] - place.source[axis]) / (place.target[axis + 2] - place.target[axis]);
            float value = (float)((boxes[4 * row + edge] - place.target[axis]) * ratio + place.source[axis]);
            answer->box[edge] = value < 0 ? 0 : value > limit ? (float)limit : value;
        }
        found += answer->box[2] > answer->box[0] && answer->box[3] > answer->box[1];
    }
    return found;
}
#endif
