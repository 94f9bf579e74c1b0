/* Names gestures: gestures BUNDLE.mwt READINGS. Readings of an accelerometer come in one after the other, with drops, and
 * the last 64 slots of 20 ms are classified a step at a time, while the next ones arrive.
 *
 * READINGS stands for the sensor: for each reading its time in milliseconds, 64 bits, and three 16-bit integers of
 * 1/2048 g, little-endian. The same file runs on a host and, under semihosting, on a Cortex-M. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mwt.h"

enum { LENGTH = 64, AXES = 3, PERIOD = 20, HOP = 16 };
static const float UNIT = 1.0f / 2048;

static unsigned char bundle[96 * 1024];
static float workspace[10 * 1024 + 256];
static mwt_classifier classifier;

/* The last LENGTH slots: slot n lies at n % LENGTH, while none later has taken its place. */
static struct {
    int there;
    uint64_t slot;
    int16_t values[AXES];
} ring[LENGTH];
static uint64_t newest;

/* The window that is being classified: NaN where a slot has no reading. */
static float window[LENGTH * AXES];
static unsigned readings;

static int check(mwt_status status, const char *what) {
    if (status != MWT_STATUS_OK) {
        printf("%s: %s\n", what, mwt_status_name(status));
        return 0;
    }
    return 1;
}

/* Takes in a reading, and gives the number of its slot: that in whose middle it lies nearest. */
static uint64_t push(uint64_t time, const int16_t *values) {
    uint64_t slot = (time + PERIOD / 2) / PERIOD;
    unsigned at = (unsigned)(slot % LENGTH);
    newest = slot > newest ? slot : newest;
    if (!ring[at].there || ring[at].slot <= slot) {
        ring[at].there = 1;
        ring[at].slot = slot;
        memcpy(ring[at].values, values, sizeof ring[at].values);
    }
    return slot;
}

/* Copies the ring, oldest slot first, as the readings go on coming in. */
static void take_window(void) {
    readings = 0;
    for (unsigned i = 0; i < LENGTH; i++) {
        uint64_t slot = newest + 1 + i - LENGTH;
        unsigned at = (unsigned)(slot % LENGTH);
        int there = ring[at].there && ring[at].slot == slot;
        readings += there ? 1 : 0;
        for (unsigned axis = 0; axis < AXES; axis++)
            window[i * AXES + axis] = there ? (float)ring[at].values[axis] * UNIT : NAN;
    }
}

static int print_gesture(uint64_t slot) {
    mwt_prediction best;
    float logits[8];
    const uint8_t *label;
    size_t label_len;
    if (!check(mwt_best(&classifier, &best), "best") ||
        !check(mwt_logits(&classifier, logits, 8), "logits") ||
        !check(mwt_label(&classifier, best.index, &label, &label_len), "label"))
        return 0;
    printf("slot %u readings %u of %u class %u (%.*s) logits", (unsigned)slot, readings,
           (unsigned)LENGTH, (unsigned)best.index, (int)label_len, (const char *)label);
    for (unsigned k = 0; k < 8; k++) {
        uint32_t bits;
        memcpy(&bits, &logits[k], sizeof bits);
        printf(" %08x", (unsigned)bits);
    }
    printf("\n");
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        printf("gestures BUNDLE.mwt READINGS\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "rb");
    if (!file) {
        printf("cannot open %s\n", argv[1]);
        return 2;
    }
    size_t bundle_len = fread(bundle, 1, sizeof bundle, file);
    int all = fgetc(file) == EOF;
    fclose(file);
    if (!all) {
        printf("%s has more than %u bytes\n", argv[1], (unsigned)sizeof bundle);
        return 2;
    }
    mwt_model model;
    if (!check(mwt_init(&classifier, bundle, bundle_len, workspace, sizeof workspace), "bundle") ||
        !check(mwt_model_of(&classifier, &model), "model"))
        return 1;
    if (model.axes != 1 || model.sides[0] != LENGTH || model.channels != AXES || model.classes != 8) {
        printf("the bundle is for other series\n");
        return 1;
    }

    if (!(file = fopen(argv[2], "rb"))) {
        printf("cannot open %s\n", argv[2]);
        return 2;
    }
    mwt_samples samples = {window, LENGTH * AXES, MWT_TYPE_F32, NULL, NULL};
    unsigned char bytes[14];
    uint64_t job = 0, next = LENGTH - 1;
    int busy = 0;
    while (fread(bytes, 1, sizeof bytes, file) == sizeof bytes) {
        uint64_t time = 0;
        int16_t values[AXES];
        for (int i = 7; i >= 0; i--)
            time = time << 8 | bytes[i];
        for (int axis = 0; axis < AXES; axis++)
            values[axis] = (int16_t)(bytes[8 + 2 * axis] | bytes[9 + 2 * axis] << 8);
        uint64_t slot = push(time, values);
        if (!busy && slot >= next) {
            take_window();
            if (!check(mwt_begin(&classifier), "begin"))
                return 1;
            busy = 1;
            job = slot;
            next = slot + HOP;
        }
        if (!busy)
            continue;
        /* One inner step for each reading; then the answer. */
        uint32_t left;
        if (!check(mwt_step(&classifier, &samples, &left), "step"))
            return 1;
        if (left == 0) {
            if (!print_gesture(job))
                return 1;
            busy = 0;
        }
    }
    fclose(file);
    return 0;
}
