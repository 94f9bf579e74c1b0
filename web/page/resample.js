// A picture as a model takes it: upright, on white, cut about its centre, and scaled down by averaging, as in training.

/** The largest side that is looked at; larger pictures are scaled to it by the browser first. */
const LARGEST = 1024;

/** The pixels of a picture file, cut about its centre to height : width: red, green and blue in 0..255, and their sides. */
export async function pixelsOf(file, height, width) {
  // Browsers turn it as its Exif data say.
  const picture = await createImageBitmap(file);
  const cut = Math.min(picture.width / width, picture.height / height);
  const scale = Math.min(1, LARGEST / (cut * Math.max(width, height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(cut * width * scale));
  canvas.height = Math.max(1, Math.round(cut * height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const [w, h] = [cut * width, cut * height];
  context.drawImage(picture, (picture.width - w) / 2, (picture.height - h) / 2, w, h, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { data, height: canvas.height, width: canvas.width };
}

/** Weights of the source's pixels for each pixel of one side: they fall off linearly, over what shrinks into it. */
function weights(from, to) {
  const ratio = from / to;
  const reach = Math.max(1, ratio);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * ratio - 0.5;
    const first = Math.max(0, Math.ceil(center - reach));
    const last = Math.min(from - 1, Math.floor(center + reach));
    const falling = [];
    for (let j = first; j <= last; j++) falling.push(Math.max(0, 1 - Math.abs(j - center) / reach));
    const sum = falling.reduce((a, b) => a + b, 0) || 1;
    return { first, falling: falling.map((weight) => weight / sum) };
  });
}

/** Numbers [height, width, channels] of pixels: grey for one channel. */
export function shrunk({ data, height: h, width: w }, height, width, channels) {
  const source = new Float32Array(h * w * channels);
  for (let i = 0; i < h * w; i++) {
    const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
    const grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    for (let c = 0; c < channels; c++) source[i * channels + c] = channels === 3 ? [red, green, blue][c] : grey;
  }
  const [columns, rows] = [weights(w, width), weights(h, height)];
  const numbers = new Float32Array(height * width * channels);
  const narrow = new Float32Array(h * width * channels);
  for (let y = 0; y < h; y++)
    columns.forEach(({ first, falling }, x) => {
      for (let c = 0; c < channels; c++)
        narrow[(y * width + x) * channels + c] = falling.reduce(
          (sum, weight, j) => sum + weight * source[(y * w + first + j) * channels + c], 0);
    });
  rows.forEach(({ first, falling }, y) => {
    for (let i = 0; i < width * channels; i++)
      numbers[y * width * channels + i] = Math.round(
        falling.reduce((sum, weight, j) => sum + weight * narrow[(first + j) * width * channels + i], 0));
  });
  return numbers;
}
