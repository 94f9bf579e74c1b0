// Reads a digit: first the bundle's own samples, then a seven drawn by hand, whole and with pixels missing.
//
// model.h is a bundle as `mwt-train export --emit-c` writes it, or as package.sh makes it from a file.

#include <mwt.h>

#include "model.h"

// What the model needs while it works: `mwt-train inspect` says how much. 40 KiB suffice for `micro`.
static float workspace[40 * 1024 / sizeof(float)];
static mwt_classifier classifier;

static uint8_t pixels[28 * 28];
static uint8_t there[28 * 28 / 8];

static bool failed(const char *what, mwt_status status) {
  if (status == MWT_STATUS_OK) return false;
  Serial.print(what);
  Serial.print(": ");
  Serial.println(mwt_status_name(status));
  return true;
}

// Light strokes on black, as in training.
static void drawSeven() {
  for (int y = 7; y < 23; y++)
    for (int x = 0; x < 28; x++) {
      bool bar = y < 10 && x >= 8 && x < 20;
      bool leg = y >= 10 && x >= 20 - y / 2 && x < 23 - y / 2;
      pixels[28 * y + x] = bar || leg ? 255 : 0;
    }
}

static void classify(const char *what, const uint8_t *mask) {
  mwt_samples samples = {pixels, sizeof pixels, MWT_TYPE_U8, mask, nullptr};
  unsigned long start = micros();
  if (failed("fit", mwt_fit(&classifier, &samples))) return;
  mwt_prediction best;
  if (failed("best", mwt_best(&classifier, &best))) return;
  unsigned long took = micros() - start;
  const uint8_t *label;
  size_t length;
  if (failed("label", mwt_label(&classifier, best.index, &label, &length))) return;
  Serial.print(what);
  Serial.print(": ");
  Serial.write(label, length);
  Serial.print(" with ");
  Serial.print(100 * best.probability);
  Serial.print(" %, ");
  Serial.print(took);
  Serial.println(" us");
}

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  // The trainer's own answers, on this board.
  if (failed("self-test", mwt_self_test(mwt_bundle, sizeof mwt_bundle, workspace, sizeof workspace))) return;
  Serial.println("self-test passed");
  drawSeven();
  for (size_t i = 0; i < sizeof there; i++) there[i] = 0x55;
}

void loop() {
  if (failed("init", mwt_init(&classifier, mwt_bundle, sizeof mwt_bundle, workspace, sizeof workspace))) return;
  classify("a seven", nullptr);
  classify("with half of its pixels", there);
  delay(2000);
}
