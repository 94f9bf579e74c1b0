/* How much stack the library takes: stack BUNDLE.mwt. What lies below is painted before each call and looked at after it.
 *
 * The same file runs on a host and, under semihosting, on a Cortex-M. */
#include <stdio.h>

#include "mwt.h"

enum { PAINTED = 64 * 1024 / sizeof(uint32_t) };
static const uint32_t PAINT = 0xa5c3965a;

static unsigned char bundle[96 * 1024], image[28 * 28], there[98];
static float workspace[10 * 1024 + 256], coordinates[2 * 28 * 28];
static mwt_classifier classifier;

/* For the compiler, whatever may write or read memory. */
#define TOUCH(memory) __asm__ volatile("" : : "r"(memory) : "memory")

/* Both have a frame of the same size in the same place, where the calls between them have theirs. */
static __attribute__((noinline)) void paint(void) {
    uint32_t below[PAINTED];
    for (unsigned i = 0; i < PAINTED; i++)
        below[i] = PAINT;
    TOUCH(below);
}

static __attribute__((noinline)) unsigned painted(void) {
    uint32_t below[PAINTED];
    TOUCH(below);
    unsigned left = 0;
    while (left < PAINTED && below[left] == PAINT)
        left++;
    return (PAINTED - left) * (unsigned)sizeof(uint32_t);
}

static unsigned most;
static int failed;

static void report(const char *call, mwt_status status, unsigned bytes) {
    most = bytes > most ? bytes : most;
    failed |= status != MWT_STATUS_OK;
    printf("%s: %s, %u bytes\n", call, mwt_status_name(status), bytes);
}

#define STACK_OF(call)                        \
    do {                                      \
        paint();                              \
        mwt_status status = call;             \
        report(#call, status, painted());     \
    } while (0)

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        printf("stack BUNDLE.mwt\n");
        return 2;
    }
    size_t len = fread(bundle, 1, sizeof bundle, file), need;
    fclose(file);
    for (unsigned i = 0; i < sizeof image; i++)
        image[i] = (unsigned char)(i * 7);
    for (unsigned i = 0; i < sizeof there; i++)
        there[i] = 0x5b;
    for (unsigned i = 0; i < 2 * 28 * 28; i++)
        coordinates[i] = (float)(i % 200) / 100 - 1;
    const mwt_samples all = {image, sizeof image, MWT_TYPE_U8, NULL, NULL};
    const mwt_samples some = {image, sizeof image, MWT_TYPE_U8, there, NULL};
    const mwt_samples anywhere = {image, sizeof image, MWT_TYPE_U8, NULL, coordinates};
    mwt_prediction best;
    float logits[10], psnr;

    STACK_OF(mwt_workspace_bytes(bundle, len, &need));
    STACK_OF(mwt_self_test(bundle, len, workspace, sizeof workspace));
    STACK_OF(mwt_classify(bundle, len, workspace, sizeof workspace, image, sizeof image, &best, logits, 10));
    STACK_OF(mwt_classify_samples(bundle, len, workspace, sizeof workspace, &some, &best, logits, 10));
    STACK_OF(mwt_classify_samples(bundle, len, workspace, sizeof workspace, &anywhere, &best, logits, 10));
    STACK_OF(mwt_init(&classifier, bundle, len, workspace, sizeof workspace));
    STACK_OF(mwt_fit(&classifier, &all));
    STACK_OF(mwt_fit(&classifier, &anywhere));
    STACK_OF(mwt_best(&classifier, &best));
    STACK_OF(mwt_psnr(&classifier, &all, &psnr));
    printf("stack %u bytes\n", most);
    return failed;
}
