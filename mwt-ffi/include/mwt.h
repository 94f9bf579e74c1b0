/* Fits and classifies images, series and volumes with a Meta Weight Transformer bundle.
 *
 * Memory: nothing is allocated and nothing is global; the caller owns all of it. A call takes at most 4 KiB of stack in every
 * optimized build of the library, 20 KiB in one without optimization; on a host with vector registers 128 KiB.
 *
 * Threads, RTOS tasks, interrupts: every function may be interrupted and entered again anywhere. A classifier and its
 * workspace belong to one of them at a time; two with workspaces of their own are independent, and may share a bundle. No lock
 * is taken and no interrupt masked. A call works in the FPU for milliseconds to seconds: let a task make it, whose FPU
 * registers the RTOS saves, rather than an interrupt.
 *
 * Byte order: bundles are little-endian on every machine, numbers and results are as the machine has them.
 *
 * Linking for a board: with -Wl,--gc-sections (armlink and IAR's linker leave out unused sections by themselves). The library
 * calls `void mwt_abort(void)`, which it does not define, where Rust would panic; no such place is reachable, so a linker that
 * leaves out what nobody calls never asks for it. One that asks, as with a library that was built with another profile than
 * `release`, gets `void mwt_abort(void) { for (;;) {} }`.
 *
 * Versions: `mwt_version()` is the library's, MWT_VERSION_MAJOR and so on this header's.
 *
 * Written by cbindgen from mwt-ffi/src/lib.rs; `cargo test` in mwt-ffi tells when it is out of date. */

#ifndef MWT_H
#define MWT_H

#include <stddef.h>
#include <stdint.h>

// First part of the version that this header belongs to.
#define MWT_VERSION_MAJOR 0

// Second part; before 1.0 programs must be compiled anew where it changes.
#define MWT_VERSION_MINOR 1

// Third part.
#define MWT_VERSION_PATCH 0

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
  // The signal has no sample, or one whose number or coordinate cannot be, or is outside the range that `mwt_set_range` allows.
  MWT_STATUS_SAMPLES = 9,
} mwt_status;

// A phase of fitting and classifying.
typedef enum mwt_phase {
  // An inner step of the fit.
  MWT_PHASE_STEP = 0,
  // The tokens and their projection.
  MWT_PHASE_TOKENS = 1,
  // A block of the Transformer.
  MWT_PHASE_BLOCK = 2,
  // The mean over the tokens and the logits.
  MWT_PHASE_LOGITS = 3,
} mwt_phase;

// Type of a signal's numbers.
typedef enum mwt_type {
  // `uint8_t`.
  MWT_TYPE_U8 = 0,
  // `int16_t`.
  MWT_TYPE_I16 = 1,
  // `float`; NaN says that the sample is missing.
  MWT_TYPE_F32 = 2,
} mwt_type;

// What becomes of a value that is further from 0 than a limit.
typedef enum mwt_range {
  // It is taken.
  MWT_RANGE_ANY = 0,
  // The samples are refused, with `MWT_STATUS_SAMPLES`.
  MWT_RANGE_REFUSED = 1,
  // The limit is taken in its place.
  MWT_RANGE_CLAMPED = 2,
} mwt_range;

// How products are computed.
typedef enum mwt_arithmetic {
  // In floats: the same bits on every board.
  MWT_ARITHMETIC_F32 = 0,
  // In integers where the processor is faster that way: on a Cortex-M4F or M7 the fit's hidden layers, linear layers and
  // attention. Sums are exact, but what is summed is rounded, so that logits differ a little. The bundle's weights should be
  // int8, as they are unless the trainer was told otherwise.
  MWT_ARITHMETIC_INT8 = 1,
} mwt_arithmetic;

// A classifier, in memory of the caller's: what it needs between calls besides its workspace. `mwt_init` sets it up; before
// that, other calls refuse one of zeros. Nothing has to be freed. One thread, task or interrupt at a time may use it; two with
// workspaces of their own are independent.
typedef struct mwt_classifier {
  // The library's own.
  uint64_t state[96];
} mwt_classifier;

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

// A class and how likely it is.
typedef struct mwt_prediction {
  // Index of the class, from 0.
  uint32_t index;
  // Its softmax probability.
  float probability;
  // Its logit.
  float logit;
} mwt_prediction;

// What a model takes and gives.
typedef struct mwt_model {
  // Axes of its grid: 1 for series, 2 for images, 3 for volumes.
  uint32_t axes;
  // Positions along each axis; 1 where there is none.
  uint32_t sides[3];
  // Numbers of a sample.
  uint32_t channels;
  // Classes.
  uint32_t classes;
  // Inner steps of a whole fit.
  uint32_t steps;
} mwt_model;

// Is called when a phase begins (`ended` is 0) and when it ends (1), with the number of the step or block, from 0: reads a
// cycle counter, toggles a pin. It runs on the caller's stack, and must not use the classifier.
typedef void (*mwt_hook)(void *context, enum mwt_phase phase, uint32_t number, uint32_t ended);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Sets up a classifier: parses and checks the bundle, once. Its model's samples are fitted by `mwt_step` or
// `mwt_fit`.
//
// # Safety
// `classifier` may be written. `bundle` points to `bundle_len` bytes and `workspace` to `workspace_bytes`, which stay where
// they are, and which nothing else changes, as long as the classifier is used.
enum mwt_status mwt_init(struct mwt_classifier *classifier,
                         const uint8_t *bundle,
                         size_t bundle_len,
                         float *workspace,
                         size_t workspace_bytes);

// Starts a fit anew.
//
// # Safety
// `classifier` was set up by `mwt_init`, whose promises hold, and nothing else uses it meanwhile; so for all that follow.
enum mwt_status mwt_begin(struct mwt_classifier *classifier);

// Takes the next inner step of the fit, on the same samples as those before it; nothing when all are taken. `left`, if not
// null, gets the number of steps that are left.
//
// # Safety
// As for `mwt_begin`; `samples` points to a value whose pointers are null or point to as much as it says, and `left` is null
// or may be written.
enum mwt_status mwt_step(struct mwt_classifier *classifier,
                         const struct mwt_samples *samples,
                         uint32_t *left);

// Fits samples in all steps, from the start.
//
// # Safety
// As for `mwt_step`.
enum mwt_status mwt_fit(struct mwt_classifier *classifier, const struct mwt_samples *samples);

// The most likely class of the fit as it is, after all steps or any number of them.
//
// # Safety
// As for `mwt_begin`; `prediction` may be written.
enum mwt_status mwt_best(struct mwt_classifier *classifier, struct mwt_prediction *prediction);

// The `count` most likely classes of the fit as it is, the most likely first, into `predictions`; fewer where the model has
// fewer. `found`, if not null, gets how many.
//
// # Safety
// As for `mwt_begin`; `predictions` points to `count` values, and `found` is null or may be written.
enum mwt_status mwt_top(struct mwt_classifier *classifier,
                        struct mwt_prediction *predictions,
                        size_t count,
                        size_t *found);

// The logits of the fit as it is, one a class, into `logits`, which has `logits_len` values.
//
// # Safety
// As for `mwt_begin`; `logits` points to `logits_len` values.
enum mwt_status mwt_logits(struct mwt_classifier *classifier, float *logits, size_t logits_len);

// Peak signal-to-noise ratio of the fit over all samples in dB, into `psnr`; on a microcontroller nearly as much work as half
// a fit.
//
// # Safety
// As for `mwt_step`; `psnr` may be written.
enum mwt_status mwt_psnr(struct mwt_classifier *classifier,
                         const struct mwt_samples *samples,
                         float *psnr);

// What the fit draws, on a grid of any sides: one for each axis of the model. Writes `count` numbers of a type into
// `numbers`, aligned as it is: positions times channels, channels interleaved, in the unit of the model's input.
// `MWT_STATUS_OUTPUT` where `count` is another number.
//
// # Safety
// As for `mwt_begin`; `sides` points to as many values as the model has axes, `numbers` to `count` numbers of its type.
enum mwt_status mwt_reconstruct(struct mwt_classifier *classifier,
                                const uint32_t *sides,
                                uint32_t kind,
                                void *numbers,
                                size_t count);

// Whether the bundle's bytes are still those that `mwt_init` read: their CRC-32 again, which notices every flipped bit.
// `MWT_STATUS_BUNDLE` where they are not.
//
// # Safety
// As for `mwt_begin`.
enum mwt_status mwt_check(struct mwt_classifier *classifier);

// Chooses what becomes of a value that is further from 0 than `limit`, by `rule`: MWT_RANGE_ANY, MWT_RANGE_REFUSED or
// MWT_RANGE_CLAMPED. Values are what the bundle's input scaling makes of numbers: in
// [-1, 1] lie a picture's bytes, and of other signals what is within three standard deviations of the training data's mean.
// Until this is called, those beyond 10 are refused: they are most often in another unit.
//
// # Safety
// As for `mwt_begin`.
enum mwt_status mwt_set_range(struct mwt_classifier *classifier,
                              uint32_t rule,
                              float limit);

// Chooses how products are computed from now on: MWT_ARITHMETIC_F32, as at first, or MWT_ARITHMETIC_INT8. Choose before a
// fit begins.
//
// # Safety
// As for `mwt_begin`.
enum mwt_status mwt_set_arithmetic(struct mwt_classifier *classifier,
                                   uint32_t arithmetic);

// The name of a class: its first byte into `text` and its length into `len`. It lies in the bundle and does not end
// with 0. `MWT_STATUS_OUTPUT` for a class that is not there.
//
// # Safety
// As for `mwt_begin`; `text` and `len` may be written.
enum mwt_status mwt_label(struct mwt_classifier *classifier,
                          uint32_t index,
                          const uint8_t **text,
                          size_t *len);

// What the classifier's model takes and gives, into `model`.
//
// # Safety
// As for `mwt_begin`; `model` may be written.
enum mwt_status mwt_model_of(struct mwt_classifier *classifier, struct mwt_model *model);

// Has a hook called at the beginning and the end of each phase, with a pointer of the caller's; null for none, as at first.
//
// # Safety
// As for `mwt_begin`; `hook` is null or may be called with `context` as long as the classifier is used.
enum mwt_status mwt_watch(struct mwt_classifier *classifier,
                          mwt_hook hook,
                          void *context);

// Bytes of the bundle that begins with `prefix_len` bytes, of which the first 24 suffice, into `*len`: for a bundle in a sector of
// flash that is longer than it. What follows is checked by `mwt_init`, which takes that many bytes.
//
// # Safety
// `prefix` points to `prefix_len` bytes, `len` to a value that may be written.
enum mwt_status mwt_bundle_bytes(const uint8_t *prefix,
                                 size_t prefix_len,
                                 size_t *len);

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

// The library's version: major · 65536 + minor · 256 + patch.
//
// A program may be linked with a library of another patch than its header's, and from 1.0 on of a later minor version: names,
// numbers of statuses and layouts of structures stay, new ones are added. Before 1.0 the minor version counts as the major one.
uint32_t mwt_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MWT_H */
