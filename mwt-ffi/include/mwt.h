/* Fits and classifies images with a Meta Weight Transformer bundle.
 *
 * No allocation and no global state: the caller owns all memory.
 * Written by cbindgen from mwt-ffi/src/lib.rs; `cargo test` in mwt-ffi tells when it is out of date. */

#ifndef MWT_H
#define MWT_H

#include <stddef.h>
#include <stdint.h>

// What a call came to.
typedef enum mwt_status {
  // Done.
  MWT_STATUS_OK = 0,
  // A pointer is null, or the workspace is not aligned to four bytes.
  MWT_STATUS_POINTER = 1,
  // The bundle is refused: damaged, cut short, or of another version.
  MWT_STATUS_BUNDLE = 2,
  // The workspace is smaller than `mwt_workspace_bytes` says.
  MWT_STATUS_WORKSPACE = 3,
  // The image or signal has another size than the model's, or a mask too few bits.
  MWT_STATUS_IMAGE = 4,
  // The fit left the finite numbers.
  MWT_STATUS_DIVERGED = 5,
  // A golden sample gave other logits than the trainer's.
  MWT_STATUS_SELF_TEST = 6,
  // An output buffer is smaller than it must be.
  MWT_STATUS_OUTPUT = 7,
  // Anything else.
  MWT_STATUS_OTHER = 8,
  // The signal has no sample, or one whose number or coordinate cannot be.
  MWT_STATUS_SAMPLES = 9,
} mwt_status;

// Type of a signal's numbers.
typedef enum mwt_type {
  // `uint8_t`.
  MWT_TYPE_U8 = 0,
  // `int16_t`.
  MWT_TYPE_I16 = 1,
  // `float`; NaN says that the sample is missing.
  MWT_TYPE_F32 = 2,
} mwt_type;

// A class, how likely it is, and how well the image was fitted.
typedef struct mwt_prediction {
  // Index of the class, from 0.
  uint32_t index;
  // Its softmax probability.
  float probability;
  // Peak signal-to-noise ratio of the fit in dB.
  float psnr;
} mwt_prediction;

// Samples to classify: an image, a series or a volume, of which some may be missing, or samples anywhere.
typedef struct mwt_samples {
  // The numbers, sample after sample, channels interleaved, aligned as their type is; in the order of the model's
  // grid unless there are coordinates.
  const void *numbers;
  // How many numbers there are: samples times channels.
  size_t count;
  // Their type: MWT_TYPE_U8, MWT_TYPE_I16 or MWT_TYPE_F32.
  uint32_t kind;
  // Null, or one bit for each sample of the grid: bit i % 8, 1 for the lowest, of byte i / 8 says that sample i is
  // there.
  const uint8_t *there;
  // Null, or as many coordinates for each sample as the model's grid has axes, from -1 to 1: the time in a series, y
  // and x in an image.
  const float *coordinates;
} mwt_samples;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Bytes of workspace that the bundle's model needs, into `*size`.
//
// # Safety
// `bundle` points to `bundle_len` bytes, `size` to a value that may be written.
enum mwt_status mwt_workspace_bytes(const uint8_t *bundle, size_t bundle_len, size_t *size);

// Fits and classifies the bundle's own samples and compares them with the trainer's logits.
//
// # Safety
// `bundle` points to `bundle_len` bytes, `workspace` to `workspace_bytes` that nothing else uses meanwhile.
enum mwt_status mwt_self_test(const uint8_t *bundle,
                              size_t bundle_len,
                              float *workspace,
                              size_t workspace_bytes);

// Fits one image, [height, width, channels] bytes, and classifies it. `logits` takes one value a class, or is null.
//
// The image has the model's size and channels. `mwt-train classify` makes one of a picture so, and training did: turn it
// upright, put its transparent parts on a background, cut it about its centre to the model's proportions, and average the
// pixels that shrink into one (or pad it, or stretch it, if training did); 0 is black. Light and dark are as in training: a
// model of light strokes on black takes dark ones on paper inverted, 255 - value.
//
// # Safety
// `bundle` and `image` point to as many bytes as said, `workspace` to `workspace_bytes` that nothing else uses
// meanwhile, `prediction` to a value that may be written, and `logits` is null or points to `logits_len` values.
enum mwt_status mwt_classify(const uint8_t *bundle,
                             size_t bundle_len,
                             float *workspace,
                             size_t workspace_bytes,
                             const uint8_t *image,
                             size_t image_len,
                             struct mwt_prediction *prediction,
                             float *logits,
                             size_t logits_len);

// Fits samples of any kind and classifies them, as `mwt_classify` does an image.
//
// # Safety
// As for `mwt_classify`; and `samples` points to a value whose pointers are null or point to as much as it says.
enum mwt_status mwt_classify_samples(const uint8_t *bundle,
                                     size_t bundle_len,
                                     float *workspace,
                                     size_t workspace_bytes,
                                     const struct mwt_samples *samples,
                                     struct mwt_prediction *prediction,
                                     float *logits,
                                     size_t logits_len);

// The name of a status, such as "MWT_STATUS_OK"; a constant that ends with 0. Any other number is "MWT_STATUS_OTHER".
const char *mwt_status_name(int32_t status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MWT_H */
