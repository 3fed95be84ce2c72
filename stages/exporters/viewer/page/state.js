// State of the page, and the worker that paints for it.

// Seconds to play the whole growth, and milliseconds to glide from one key frame to the next.
const PLAY_SECONDS = 9, GLIDE = 70;
// Milliseconds without movement after which the painting is drawn exactly.
const REST = 120;
// Most pixels of the picture kept of each key frame, and of the canvas on the screen.
const KEY_PICTURE_PIXELS = 6e5, SCREEN_PIXELS = 4e6;
const ZOOM_MOST = 40;

const element = (id) => document.getElementById(id);
const about = JSON.parse(element("about").textContent);
const last = about.keys.length - 1;
const steps = about.keys.map(([step]) => step);
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
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
let compare = "off";         // or "wipe" or "side"
let divide = 0.5;            // share of the painting left of the wipe
let showOutlines = false;
let position = last;         // in key frames; fractions are between two
let goal = last;             // where position glides to
let playing = false;
let selected = null;         // a row, or null
const keyPictures = new Array(last + 1).fill(null);  // a picture of each key frame, of moderate size
let exact = null;            // a picture of the view at rest
let changedAt = -Infinity, frameAsked = false, previousTime = 0, restTimer = 0;

// The worker runs the code of the shapes and the painter.
const source = ["shapes", "painter"].map((id) => element(id).textContent).join("\n");
let answer;  // resolves the pending request
const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
worker.onmessage = ({ data }) => answer(data);
worker.onerror = (event) => fail(event.message);
const ask = (question, transfer = []) => new Promise((resolve) => { answer = resolve; worker.postMessage(question, transfer); });

function fail(reason) {
  element("message").textContent = `This browser cannot draw the painting (${reason || "it may be too old"}).`;
  element("message").hidden = false;
}
