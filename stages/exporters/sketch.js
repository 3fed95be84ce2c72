const SHAPES_A_FRAME = 8;

let painted = 0;

function setup() {
  createCanvas(Math.round(WIDTH * SCALE), Math.round(HEIGHT * SCALE));
  if (BACKGROUND) background(BACKGROUND);
}

function draw() {
  drawingContext.save();
  drawingContext.scale(width / WIDTH, height / HEIGHT);
  for (let k = 0; k < SHAPES_A_FRAME && painted < SHAPES.length; k++) {
    paint(SHAPES[painted++]);
  }
  drawingContext.restore();
  if (painted === SHAPES.length) noLoop();
}

function paint([kind, colour, opacity, softness, ...shape]) {
  if (kind === 'circle') {
    const [x, y, radius] = shape;
    paintEllipse(colour, opacity, softness, x, y, radius, radius, 0);
  } else if (kind === 'ellipse') {
    paintEllipse(colour, opacity, softness, ...shape);
  } else if (kind === 'stroke') {
    const [x0, y0, x1, y1, thickness] = shape;
    const path = outset => strokePath(x0, y0, x1, y1, thickness / 2 + outset);
    paintOutlines(colour, opacity, softness, thickness / 2, path);
  } else {
    paintOutlines(colour, opacity, softness, middleOf(shape).depth, outset => trianglePath(shape, outset));
  }
}

// A radial gradient under a transform. Softness is half the width of the rim, along the shorter axis.
function paintEllipse(colour, opacity, softness, x, y, across, down, degrees) {
  const radius = Math.min(across, down);
  const grown = 1 + softness / radius;
  const inner = Math.max(radius - softness, 0) / (radius + softness);
  const peak = Math.min(1, 0.5 + radius / (2 * softness));
  const context = drawingContext;
  context.save();
  context.translate(x, y);
  context.rotate(degrees * Math.PI / 180);
  context.scale(across * grown, down * grown);
  const gradient = context.createRadialGradient(0, 0, inner, 0, 0, 1);
  gradient.addColorStop(0, withAlpha(colour, opacity * peak));
  gradient.addColorStop(1, withAlpha(colour, 0));
  context.fillStyle = gradient;
  context.fillRect(-1.5, -1.5, 3, 3);
  context.restore();
}

// Nested outlines, the outermost first: together they cover as much as a soft rim. Depth is that of the deepest point.
function paintOutlines(colour, opacity, softness, depth, path) {
  const isHard = Math.abs(softness - 0.5) < 0.02;
  const count = isHard ? 1 : Math.ceil(Math.max(1, Math.min(2 * softness * SCALE, 8 * opacity)));
  const peak = Math.min(1, 0.5 + depth / (2 * softness));
  const context = drawingContext;
  context.save();
  context.fillStyle = colour;
  let covered = 0;
  for (let k = 0; k < count; k++) {
    const coverage = opacity * peak * (k + 1) / count;
    context.globalAlpha = 1 - (1 - coverage) / (1 - covered);
    covered = coverage;
    context.beginPath();
    path(softness * (1 - 2 * peak * (k + 0.5) / count));
    context.closePath();
    context.fill();
  }
  context.restore();
}

function strokePath(x0, y0, x1, y1, radius) {
  const turn = Math.atan2(y1 - y0, x1 - x0);
  drawingContext.arc(x0, y0, radius, turn + Math.PI / 2, turn + 3 * Math.PI / 2);
  drawingContext.arc(x1, y1, radius, turn - Math.PI / 2, turn + Math.PI / 2);
}

// Outwards the corners become round, inwards the triangle shrinks towards its middle. Corners are clockwise.
function trianglePath(corners, outset) {
  const { x, y, depth } = middleOf(corners);
  const share = outset < 0 ? 1 + outset / depth : 1;
  for (let k = 0; k < 6; k += 2) {
    const [before, here, after] = [k + 4, k, k + 2].map(i => [corners[i % 6], corners[(i + 1) % 6]]);
    const from = Math.atan2(here[1] - before[1], here[0] - before[0]) - Math.PI / 2;
    const to = Math.atan2(after[1] - here[1], after[0] - here[0]) - Math.PI / 2;
    const [cornerX, cornerY] = [x + share * (here[0] - x), y + share * (here[1] - y)];
    drawingContext.arc(cornerX, cornerY, Math.max(outset, 0), from, to);
  }
}

// The middle of the inscribed circle, and its radius.
function middleOf([x0, y0, x1, y1, x2, y2]) {
  const [a, b, c] = [Math.hypot(x2 - x1, y2 - y1), Math.hypot(x0 - x2, y0 - y2), Math.hypot(x1 - x0, y1 - y0)];
  const around = Math.max(a + b + c, 1e-9);
  const depth = Math.abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / around;
  return { x: (a * x0 + b * x1 + c * x2) / around, y: (a * y0 + b * y1 + c * y2) / around, depth };
}

function withAlpha(colour, alpha) {
  const [red, green, blue] = [1, 3, 5].map(k => parseInt(colour.slice(k, k + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}
