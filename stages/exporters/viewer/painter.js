// Code of the worker, after that of the shapes: unpacks the key frames and paints them while the page stays responsive.

// Side of a tile, pixels.
const TILE = 32;
// A tile stops once its transmittance is below this everywhere: rows farther back are invisible.
const TRANSMITTANCE_FLOOR = 1 / 2048;

/**
 * Unpacks all key frames from the format of `packing.py`. Each holds arrays by row: `kinds` (indices into
 * `about.primitives`), the paint columns by name, and the shape columns in `shape`.
 */
function unpack(bytes, about) {
  let at = 0;
  const plane = (count) => {
    const values = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const zigzag = bytes[at + i] | (bytes[at + count + i] << 8) | (bytes[at + 2 * count + i] << 16) | (bytes[at + 3 * count + i] << 24);
      values[i] = (zigzag >>> 1) ^ -(zigzag & 1);
    }
    at += 4 * count;
    return values;
  };
  const width = Math.max(0, ...about.primitives.map(([, columns]) => columns.length));
  let kindsBefore = [], before = [];
  return about.keys.map(([, count], index) => {
    const origins = plane(count), kinds = Uint8Array.from(plane(count));
    let next = 0;
    for (let i = 0; i < count; i++) {
      const link = origins[i];
      origins[i] = link === 0 ? -1 : link > 0 ? next + link - 1 : next + link;
      if (link === 0) continue;
      next = origins[i] + 1;
      kinds[i] = kindsBefore[origins[i]];
    }
    const numbers = [];
    /** Reads a column of the given rows, number `place` of all columns, into `values`. */
    const read = ([, perUnit, isLog, coarse], place, rows, values) => {
      const dropped = index < about.keys.length - 1 ? coarse : 0;
      const changes = plane(rows.length);
      numbers[place] ??= new Int32Array(count);
      for (let k = 0; k < rows.length; k++) {
        const row = rows[k], origin = origins[row];
        const whole = (changes[k] + (origin >= 0 ? before[place][origin] >> dropped : 0)) << dropped;
        numbers[place][row] = whole;
        values[row] = isLog ? 2 ** (whole / perUnit) : whole / perUnit;
      }
      return values;
    };
    const all = Array.from(origins.keys());
    const key = { kinds, shape: Array.from({ length: width }, () => new Float64Array(count)) };
    about.paint.forEach((column, k) => { key[column[0]] = read(column, k, all, new Float32Array(count)); });
    about.primitives.forEach(([, columns], kind) => {
      const own = all.filter((row) => kinds[row] === kind);
      columns.forEach((column, k) => read(column, about.paint.length + k, own, key.shape[k]));
    });
    [kindsBefore, before] = [kinds, numbers];
    return key;
  });
}

/**
 * Paints a key frame. `view` gives the picture's size, the scale, and the position (x, y) of the scene's corner in it;
 * with a `veil`, that colour is laid over the picture, and outlines `line` pixels wide over that.
 */
function paint(key, about, view) {
  const canvas = new OffscreenCanvas(view.width, view.height);
  const context = canvas.getContext("2d", { alpha: about.transparent });
  const rows = rowsInView(key, about, view);
  context.putImageData(drawn(rows, about, view), 0, 0);
  if (view.veil) drawOutlines(context, rows, view);
  return canvas.transferToImageBitmap();
}

/** The rows that may be visible, back to front, each with the pixels from (left, top) to (right, bottom) that it may touch. */
function rowsInView(key, about, view) {
  const falloff = falloffs[about.edge], rows = [];
  const inside = (value, most) => Math.min(Math.max(value, 0), most);
  for (let row = 0; row < key.kinds.length; row++) {
    const shape = shapeOf(key, row, about), softness = key.softness[row];
    const reach = falloff.reach(softness, shape.thickness), core = falloff.core(softness, shape.thickness);
    const box = shape.box(reach);
    // Pixel i has its centre at (i + 0.5 - x) / scale in the scene.
    const left = inside(Math.ceil(box[0] * view.scale + view.x - 0.5), view.width), right = inside(Math.floor(box[2] * view.scale + view.x + 0.5), view.width);
    const top = inside(Math.ceil(box[1] * view.scale + view.y - 0.5), view.height), bottom = inside(Math.floor(box[3] * view.scale + view.y + 0.5), view.height);
    if (left >= right || top >= bottom) continue;
    const [red, green, blue, opacity] = ["red", "green", "blue", "opacity"].map((name) => Math.min(key[name][row], 1));
    rows.push({ shape, softness, reach, core, left, top, right, bottom, red, green, blue, opacity });
  }
  return rows;
}

/** The rows as pixels, tile by tile. */
function drawn(rows, about, view) {
  const image = new ImageData(view.width, view.height);
  const tilesAcross = Math.ceil(view.width / TILE), tilesDown = Math.ceil(view.height / TILE);
  const bins = Array.from({ length: tilesAcross * tilesDown }, () => []);
  for (const row of rows) {
    for (let down = Math.floor(row.top / TILE); down * TILE < row.bottom; down++) {
      for (let across = Math.floor(row.left / TILE); across * TILE < row.right; across++) bins[down * tilesAcross + across].push(row);
    }
  }
  const planes = Object.fromEntries(["red", "green", "blue", "transmittance", "values"].map((name) => [name, new Float32Array(TILE * TILE)]));
  bins.forEach((bin, index) => drawTile(planes, bin, (index % tilesAcross) * TILE, Math.floor(index / tilesAcross) * TILE, about, view, image));
  return image;
}

/**
 * Draws the tile with its corner at pixel (x, y), front to back: each row adds its colour times the transmittance of the
 * rows in front of it, C = Σ T_i a_i c_i + T background.
 */
function drawTile(planes, bin, x, y, about, view, image) {
  const { red, green, blue, transmittance, values } = planes;
  const falloff = falloffs[about.edge], step = 1 / view.scale;
  const width = Math.min(TILE, view.width - x), height = Math.min(TILE, view.height - y), count = width * height;
  const middleX = (x + width / 2 - view.x) * step, middleY = (y + height / 2 - view.y) * step;
  const halfDiagonal = (Math.hypot(width - 1, height - 1) / 2) * step;
  red.fill(0, 0, count);
  green.fill(0, 0, count);
  blue.fill(0, 0, count);
  transmittance.fill(1, 0, count);
  for (let k = bin.length - 1, drawnRows = 0; k >= 0; k--) {
    const row = bin[k];
    // Over the tile, distances differ by at most half the diagonal from the one at its middle.
    row.shape.distances(values, middleX, middleY, step, 1, 1);
    if (values[0] - halfDiagonal > row.reach) continue;
    const left = Math.max(row.left - x, 0), right = Math.min(row.right - x, width);
    const top = Math.max(row.top - y, 0), bottom = Math.min(row.bottom - y, height);
    const across = right - left, down = bottom - top;
    if (values[0] + halfDiagonal < row.core) values.fill(1, 0, across * down);
    else {
      row.shape.distances(values, (x + left + 0.5 - view.x) * step, (y + top + 0.5 - view.y) * step, step, across, down);
      falloff.cover(values, across * down, row.softness, row.shape.thickness);
    }
    for (let j = top, from = 0; j < bottom; j++) {
      for (let pixel = j * width + left, end = pixel + across; pixel < end; pixel++, from++) {
        const share = transmittance[pixel] * row.opacity * values[from];
        transmittance[pixel] -= share;
        red[pixel] += share * row.red;
        green[pixel] += share * row.green;
        blue[pixel] += share * row.blue;
      }
    }
    if (++drawnRows % 4 === 0 && transmittance.subarray(0, count).every((left) => left < TRANSMITTANCE_FLOOR)) break;
  }
  writeTile(planes, x, y, width, height, about, image);
}

/** The tile's sums as 8-bit pixels: over the background, or with straight alpha. */
function writeTile({ red, green, blue, transmittance }, x, y, width, height, about, image) {
  const [backRed, backGreen, backBlue] = about.background;
  for (let j = 0, pixel = 0; j < height; j++) {
    let to = 4 * ((y + j) * image.width + x);
    for (let i = 0; i < width; i++, pixel++, to += 4) {
      const left = transmittance[pixel], alpha = about.transparent ? 1 - left : 1;
      const back = about.transparent ? 0 : left, level = alpha > 0 ? 255 / alpha : 0;
      image.data[to] = (red[pixel] + back * backRed) * level;
      image.data[to + 1] = (green[pixel] + back * backGreen) * level;
      image.data[to + 2] = (blue[pixel] + back * backBlue) * level;
      image.data[to + 3] = alpha * 255;
    }
  }
}

function drawOutlines(context, rows, view) {
  context.fillStyle = view.veil;
  context.fillRect(0, 0, view.width, view.height);
  context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
  context.lineWidth = view.line / view.scale;
  for (const { shape, red, green, blue } of rows) {
    context.strokeStyle = `rgb(${[red, green, blue].map((share) => Math.round(share * 255))})`;
    context.stroke(new Path2D(shape.outline(0)));
  }
}

async function work({ data }) {
  if (data.packed) {
    const stream = new Blob([data.packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    self.about = data.about;
    self.keys = unpack(new Uint8Array(await new Response(stream).arrayBuffer()), data.about);
    postMessage(self.keys);
  } else {
    const picture = paint(self.keys[data.key], self.about, data);
    postMessage(picture, [picture]);
  }
}
onmessage = (event) => work(event).catch((error) => setTimeout(() => { throw error; }));
