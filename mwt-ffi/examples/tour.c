/* All that the library does, on one bundle for images of bytes: tour BUNDLE.mwt IMAGE, an image of the model's own size.
 *
 * The same file runs on a host and, under semihosting, on a Cortex-M; both print the same bits. */
#include <stdio.h>
#include <string.h>

#include "mwt.h"

enum { SECTOR = 512 * 1024, MOST = 4096, CLASSES = 16 };

/* A sector of flash, which is longer than the bundle in it. */
static unsigned char sector[SECTOR];
static float workspace[64 * 1024], coordinates[2 * MOST];
static unsigned char image[MOST], there[MOST / 8], drawn[4 * MOST];
static mwt_classifier classifier;

static int failed;

static void check(mwt_status status, mwt_status expected, const char *what) {
    if (status == expected)
        return;
    printf("%s: %s instead of %s\n", what, mwt_status_name(status), mwt_status_name(expected));
    failed = 1;
}

#define OK(call) check(call, MWT_STATUS_OK, #call)

static void print_bits(const char *name, const float *values, size_t count) {
    printf("%s", name);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        printf(" %08x", (unsigned)bits);
    }
    printf("\n");
}

static void print_answer(const char *name, const mwt_model *model) {
    float logits[CLASSES];
    mwt_prediction best[3];
    size_t found = 0;
    OK(mwt_top(&classifier, best, 3, &found));
    printf("%s:", name);
    for (size_t i = 0; i < found; i++) {
        const uint8_t *text;
        size_t len;
        OK(mwt_label(&classifier, best[i].index, &text, &len));
        printf(" %u (%.*s)", (unsigned)best[i].index, (int)len, (const char *)text);
    }
    printf("\n");
    OK(mwt_logits(&classifier, logits, CLASSES));
    print_bits(name, logits, model->classes);
}

/* Counts the phases that end. */
static void count(void *context, mwt_phase phase, uint32_t number, uint32_t ended) {
    (void)number;
    ((unsigned *)context)[phase] += ended;
}

int main(int argc, char **argv) {
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        printf("tour BUNDLE.mwt IMAGE\n");
        return 2;
    }
    memset(sector, 0xff, sizeof sector);
    size_t bundle_len = 0, need = 0, read = fread(sector, 1, sizeof sector, file);
    fclose(file);
    if (read == sizeof sector) {
        printf("%s has %u bytes or more\n", argv[1], (unsigned)sizeof sector);
        return 2;
    }
    if (mwt_version() >> 8 != (MWT_VERSION_MAJOR << 8 | MWT_VERSION_MINOR)) {
        printf("the library is not the header's\n");
        return 1;
    }

    /* Parse once: the bundle says how long it is and what memory it needs. */
    OK(mwt_bundle_bytes(sector, 24, &bundle_len));
    OK(mwt_workspace_bytes(sector, bundle_len, &need));
    printf("bundle %u of %u workspace %u bytes\n", (unsigned)bundle_len, (unsigned)read, (unsigned)need);
    OK(mwt_init(&classifier, sector, bundle_len, workspace, sizeof workspace));
    mwt_model model;
    OK(mwt_model_of(&classifier, &model));
    size_t pixels = (size_t)model.sides[0] * model.sides[1], size = pixels * model.channels;
    printf("axes %u sides %u %u channels %u classes %u steps %u\n", (unsigned)model.axes,
           (unsigned)model.sides[0], (unsigned)model.sides[1], (unsigned)model.channels,
           (unsigned)model.classes, (unsigned)model.steps);
    if (failed || model.axes != 2 || size > MOST || model.classes > CLASSES)
        return 1;
    file = fopen(argv[2], "rb");
    if (!file || fread(image, 1, size, file) != size) {
        printf("%s has not the %u bytes of an image\n", argv[2], (unsigned)size);
        return 2;
    }
    fclose(file);

    /* Step by step, with an answer after each, and a hook that sees the phases. */
    mwt_samples whole = {image, size, MWT_TYPE_U8, NULL, NULL};
    unsigned phases[4] = {0};
    OK(mwt_watch(&classifier, count, phases));
    OK(mwt_begin(&classifier));
    for (uint32_t left = model.steps; left;) {
        OK(mwt_step(&classifier, &whole, &left));
        mwt_prediction best;
        OK(mwt_best(&classifier, &best));
        printf("%u steps left: class %u\n", (unsigned)left, (unsigned)best.index);
    }
    OK(mwt_watch(&classifier, NULL, NULL));
    printf("phases: steps %u tokens %u blocks %u logits %u\n", phases[MWT_PHASE_STEP],
           phases[MWT_PHASE_TOKENS], phases[MWT_PHASE_BLOCK], phases[MWT_PHASE_LOGITS]);
    print_answer("whole", &model);
    float psnr;
    OK(mwt_psnr(&classifier, &whole, &psnr));
    print_bits("psnr", &psnr, 1);

    /* What was fitted, at twice the size. */
    const uint32_t sides[2] = {2 * model.sides[0], 2 * model.sides[1]};
    OK(mwt_reconstruct(&classifier, sides, MWT_TYPE_U8, drawn, 4 * size));
    check(mwt_reconstruct(&classifier, sides, MWT_TYPE_U8, drawn, 4 * size - 1), MWT_STATUS_OUTPUT, "a short drawing");
    unsigned long sum = 0;
    for (size_t i = 0; i < 4 * size; i++)
        sum = (sum * 31 + drawn[i]) % 1000003;
    printf("drawn %lu\n", sum);

    /* Every third pixel missing. */
    for (size_t i = 0; i < pixels; i++)
        there[i / 8] |= (unsigned char)((i % 3 != 0) << i % 8);
    mwt_samples masked = {image, size, MWT_TYPE_U8, there, NULL};
    OK(mwt_fit(&classifier, &masked));
    print_answer("masked", &model);

    /* The same pixels, each where it lies. */
    for (size_t i = 0; i < pixels; i++) {
        coordinates[2 * i] = -1 + 2 * (float)(i / model.sides[1]) / (float)(model.sides[0] - 1);
        coordinates[2 * i + 1] = -1 + 2 * (float)(i % model.sides[1]) / (float)(model.sides[1] - 1);
    }
    mwt_samples scattered = {image, size, MWT_TYPE_U8, NULL, coordinates};
    OK(mwt_fit(&classifier, &scattered));
    print_answer("scattered", &model);

    /* A byte as 255 is 1: what is beyond a half is refused, or taken as a half. */
    OK(mwt_set_range(&classifier, MWT_RANGE_REFUSED, 0.5f));
    check(mwt_fit(&classifier, &whole), MWT_STATUS_SAMPLES, "samples out of range");
    OK(mwt_set_range(&classifier, MWT_RANGE_CLAMPED, 0.5f));
    OK(mwt_fit(&classifier, &whole));
    print_answer("clamped", &model);
    OK(mwt_set_range(&classifier, MWT_RANGE_ANY, 0));

    /* In integers where they are faster. */
    check(mwt_set_arithmetic(&classifier, 2), MWT_STATUS_OTHER, "no such arithmetic");
    OK(mwt_set_arithmetic(&classifier, MWT_ARITHMETIC_INT8));
    OK(mwt_fit(&classifier, &whole));
    print_answer("int8", &model);
    OK(mwt_set_arithmetic(&classifier, MWT_ARITHMETIC_F32));
    OK(mwt_fit(&classifier, &whole));
    print_answer("f32", &model);

    /* Any bit that flips after parsing is noticed. */
    unsigned noticed = 0, flips = 0;
    for (size_t at = 0; at < bundle_len; at += bundle_len / 7, flips++) {
        sector[at] ^= (unsigned char)(1 << flips % 8);
        noticed += mwt_check(&classifier) == MWT_STATUS_BUNDLE;
        sector[at] ^= (unsigned char)(1 << flips % 8);
    }
    OK(mwt_check(&classifier));
    printf("%u of %u flipped bits noticed\n", noticed, flips);
    failed |= noticed != flips;

    /* The single calls say the same. */
    OK(mwt_self_test(sector, bundle_len, workspace, sizeof workspace));
    mwt_prediction best;
    float logits[CLASSES];
    OK(mwt_classify(sector, bundle_len, workspace, sizeof workspace, image, size, &best, logits, CLASSES));
    print_bits("single", logits, model.classes);
    check(mwt_init(&classifier, sector, bundle_len, workspace, need - 64), MWT_STATUS_WORKSPACE, "a small workspace");
    return failed;
}
