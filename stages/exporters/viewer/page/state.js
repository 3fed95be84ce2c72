// What the page knows, and the worker that paints for it.

// Seconds that the whole growth plays for, and milliseconds of a glide from one key frame to the next.
const PLAY_SECONDS = 9, GLIDE = 70;
// Milliseconds without movement after which the painting is drawn exactly.
const REST = 120;
// Pixels of a picture that is kept of each key frame, and of the canvas on the screen.
const KEPT_PIXELS = 6e5, SCREEN_PIXELS = 4e6;
const ZOOM_MOST = 40;

const element = (id) => document.getElementById(id);
const about = JSON.parse(element("about").textContent);
const last = about.keys.length - 1;
const steps = about.keys.map(([step]) => step);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const grouped = (value) => Math.round(value).toLocaleString("en");
const capitalised = (word) => word[0].toUpperCase() + word.slice(1);

const stage = element("stage"), canvas = element("canvas"), slider = element("slider");
const context = canvas.getContext("2d");
const blend = document.createElement("canvas").getContext("2d", { alpha: about.transparent });
let keys = null;             // the rows of each key frame, once the worker has unpacked them
let original = null;         // the target as a picture, once it is decoded
let ratio = 1;               // device pixels a CSS pixel, of the canvas
let panes = [];              // where on the canvas what is shown, device pixels
const view = { x: about.width / 2, y: about.height / 2, zoom: 1 };  // scene pixel at the middle of each pane
let compare = "off";         // or wipe, or side
let divide = 0.5;            // share of the painting that the wipe leaves
let showOutlines = false;
let position = last;         // in key frames; fractions are between two
let goal = last;             // where position glides to
let playing = false;
let met = null;              // the row that is pointed at
const kept = new Array(last + 1).fill(null);  // a picture of each key frame, of moderate size
let exact = null;            // a picture of the view at rest
let movedAt = -Infinity, frameAsked = false, previousTime = 0, restTimer = 0;

// What paints runs beside the page, in a worker: it knows the shapes too.
const source = ["shapes", "painter"].map((id) => element(id).textContent).join("\n");
let answer;  // of the one question that is under way
const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
worker.onmessage = ({ data }) => answer(data);
worker.onerror = (event) => fail(event.message);
const ask = (question, moved = []) => new Promise((resolve) => { answer = resolve; worker.postMessage(question, moved); });

function fail(reason) {
  element("message").textContent = `This browser cannot draw the painting (${reason || "it may be too old"}).`;
  element("message").hidden = false;
}
