// Numbers of a model as pixels and as lines.

/** A colour of the page. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Draws numbers, [height, width, channels], as pixels of a canvas; what is missing is transparent. */
export function drawImage(canvas, numbers, { height, width, channels, range: [low, high] }) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const byte = (number) => (255 * (number - low)) / (high - low);
  for (let i = 0; i < width * height; i++) {
    const pixel = numbers.subarray(i * channels, (i + 1) * channels);
    if (pixel.some(Number.isNaN)) continue;
    const [red, green, blue] = channels >= 3 ? pixel : [pixel[0], pixel[0], pixel[0]];
    image.data.set([byte(red), byte(green), byte(blue), 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

const LINES = ["x", "y", "z"];

/**
 * Draws series, [length, channels], over each other: `line` through all of its numbers, `dots` where there are some. A
 * canvas of the page's own size and sharpness.
 */
export function drawSeries(canvas, { line, dots, cursor = -1 }, { channels, range: [low, high] }) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const place = (numbers) => {
    const length = numbers.length / channels;
    return (i) => 4 + ((width - 8) * i) / Math.max(length - 1, 1);
  };
  const level = (number) => height - 4 - ((height - 8) * (number - low)) / (high - low);
  if (cursor >= 0) {
    context.fillStyle = colour("missing");
    context.fillRect(place(dots)(cursor) - 2, 0, 4, height);
  }
  for (let channel = 0; channel < channels; channel++) {
    context.strokeStyle = context.fillStyle = colour(LINES[channel % LINES.length]);
    if (line) {
      const x = place(line);
      context.lineWidth = 1.5;
      context.beginPath();
      for (let i = channel; i < line.length; i += channels) context.lineTo(x((i - channel) / channels), level(line[i]));
      context.stroke();
    }
    if (dots) {
      const x = place(dots);
      const radius = width > 200 ? 2.2 : 1.2;
      for (let i = channel; i < dots.length; i += channels) {
        if (Number.isNaN(dots[i])) continue;
        context.beginPath();
        context.arc(x((i - channel) / channels), level(dots[i]), radius, 0, 7);
        context.fill();
      }
    }
  }
}

/** The least and the largest of the numbers with some room. */
export function rangeOf(numbers) {
  const there = numbers.filter((number) => !Number.isNaN(number));
  const low = there.reduce((a, b) => Math.min(a, b), Infinity);
  const high = there.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low > high) return [-1, 1];
  const room = 0.1 * (high - low) || 1;
  return [low - room, high + room];
}
