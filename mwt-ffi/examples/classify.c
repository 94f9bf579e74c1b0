/* Classifies images: classify BUNDLE.mwt IMAGES, raw bytes of images, one after the other.
 *
 * The same file runs on a host and, under semihosting, on a Cortex-M. */
#include <stdio.h>
#include <string.h>

#include "mwt.h"

static unsigned char bundle[96 * 1024];
static float workspace[10 * 1024 + 256];

static int check(mwt_status status, const char *what) {
    if (status != MWT_STATUS_OK) {
        printf("%s: %s\n", what, mwt_status_name(status));
        return 0;
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        printf("classify BUNDLE.mwt IMAGES\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "rb");
    if (!file) {
        printf("cannot open %s\n", argv[1]);
        return 2;
    }
    size_t bundle_len = fread(bundle, 1, sizeof bundle, file), need = 0;
    int all = fgetc(file) == EOF;
    fclose(file);
    if (!all) {
        printf("%s has more than the %u bytes of the buffer\n", argv[1], (unsigned)sizeof bundle);
        return 2;
    }
    if (!check(mwt_workspace_bytes(bundle, bundle_len, &need), "bundle") ||
        !check(mwt_self_test(bundle, bundle_len, workspace, sizeof workspace), "self-test"))
        return 1;
    printf("bundle %u workspace %u bytes\n", (unsigned)bundle_len, (unsigned)need);

    static unsigned char image[28 * 28];
    if (!(file = fopen(argv[2], "rb"))) {
        printf("cannot open %s\n", argv[2]);
        return 2;
    }
    for (unsigned n = 0; fread(image, 1, sizeof image, file) == sizeof image; n++) {
        mwt_prediction best;
        float logits[10];
        if (!check(mwt_classify(bundle, bundle_len, workspace, sizeof workspace, image,
                                sizeof image, &best, logits, 10), "image"))
            return 1;
        printf("image %u class %u %u.%02u %% logits", n, (unsigned)best.index,
               (unsigned)(best.probability * 100), (unsigned)(best.probability * 10000) % 100);
        for (unsigned k = 0; k < 10; k++) {
            unsigned bits;
            memcpy(&bits, &logits[k], sizeof bits);
            printf(" %08x", bits);
        }
        printf("\n");
    }
    fclose(file);
    return 0;
}
