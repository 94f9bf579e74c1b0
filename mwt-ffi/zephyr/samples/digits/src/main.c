/* Reads a digit: first the bundle's own samples, then a seven drawn by hand. */
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include <mwt.h>

static const uint8_t bundle[] __aligned(64) = {
#include <model.inc>
};
/* 40 KiB suffice for a `micro` model; `mwt-train inspect` says how much another one needs. */
static float workspace[40 * 1024 / sizeof(float)];
static mwt_classifier classifier;
static uint8_t pixels[28 * 28];

/* Light strokes on black, as in training. */
static void draw_seven(void)
{
	for (int y = 7; y < 23; y++) {
		for (int x = 0; x < 28; x++) {
			bool bar = y < 10 && x >= 8 && x < 20;
			bool leg = y >= 10 && x >= 20 - y / 2 && x < 23 - y / 2;

			pixels[28 * y + x] = bar || leg ? 255 : 0;
		}
	}
}

int main(void)
{
	const mwt_samples samples = {.numbers = pixels, .count = sizeof(pixels), .kind = MWT_TYPE_U8};
	mwt_prediction best;
	const uint8_t *label;
	size_t length;
	mwt_status status = mwt_self_test(bundle, sizeof(bundle), workspace, sizeof(workspace));

	printk("self-test: %s\n", mwt_status_name(status));
	draw_seven();
	status = mwt_init(&classifier, bundle, sizeof(bundle), workspace, sizeof(workspace));
	if (status == MWT_STATUS_OK) {
		status = mwt_fit(&classifier, &samples);
	}
	if (status == MWT_STATUS_OK) {
		status = mwt_best(&classifier, &best);
	}
	if (status == MWT_STATUS_OK) {
		status = mwt_label(&classifier, best.index, &label, &length);
	}
	if (status != MWT_STATUS_OK) {
		printk("failed: %s\n", mwt_status_name(status));
		return 1;
	}
	printk("a seven: %.*s with %d %%\n", (int)length, (const char *)label, (int)(100 * best.probability));
	return 0;
}
