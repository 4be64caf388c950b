// The page: what is open, and what each control does to it.

import * as api from "./api.js";
import { Brush } from "./brush.js";
import { follow } from "./follow.js";
import * as progress from "./progress.js";
import { Stage } from "./stage.js";
import * as table from "./table.js";
import "./theme.js";

const $ = (id) => document.getElementById(id);
const stage = new Stage($("stage"), $("layers"), $("view"), $("live"), $("marks"));
const brush = new Brush(stage, { hover, changed: () => refreshRerun() });

let facts = null; // of the server, once they are told
const told = api.about().then((answer) => { facts = answer; });
let open = null; // { id, width, height, name }
let shown = null; // { id, table } of the result on the stage
let earlier = []; // ids of results before it, which Undo goes back to
let job = null; // id of the job that runs

function fail(error) {
  $("toast").textContent = error.message;
  $("toast").hidden = false;
  clearTimeout(fail.timer);
  fail.timer = setTimeout(() => { $("toast").hidden = true; }, 9000);
}

const guarded = (action) => (...values) => Promise.resolve().then(() => action(...values)).catch(fail);
const named = (text, name) => text.replace(/^image:/, () => `${name}:`); // the server does not know the name
const say = (text) => { $("said").textContent = text; };

// --- opening

async function openPicture(name, send) {
  await told;
  if (job) throw new Error("A run is going on; wait for it, or cancel it first");
  $("toast").hidden = true;
  const picture = await send();
  const image = new Image();
  image.src = api.view(picture.id);
  await image.decode();
  open = { ...picture, name };
  shown = null;
  earlier = [];
  stage.open(image, picture);
  brush.open(picture);
  $("file-name").textContent = name;
  $("file-size").textContent = `${picture.width} × ${picture.height}`;
  for (const id of ["welcome", "clusters", "downloads", "notes", "tools"]) $(id).hidden = true;
  $("run").disabled = false;
  setTool("inspect");
  say(`${name} is open`);
}

async function openFile(file) {
  if (!file) return;
  await told;
  if (file.size > facts.max_bytes) {
    const limit = (facts.max_bytes / 1e6).toFixed(0);
    throw new Error(`${file.name}: ${(file.size / 1e6).toFixed(0)} MB, over the limit of ${limit} MB; shrink the image`);
  }
  return openPicture(file.name, () => api.upload(file)).catch((error) => {
    throw new Error(named(error.message, file.name));
  });
}

// --- running

async function run(asked) {
  $("run").disabled = $("rerun").disabled = true;
  $("notes").hidden = true;
  hover(null);
  try {
    job = (await api.run(open.id, asked)).id;
    progress.begin();
    const ended = await follow(job, showFrame, progress.stands);
    if (ended.state === "failed") throw new Error(ended.error);
    if (ended.state === "done") {
      if (!asked.scribbles && !facts.model) brush.clear(); // ids have new meanings
      if (shown) earlier = [...earlier, shown.id].slice(-3); // the server keeps four
      await showResult(ended.result);
      say(`Done: ${shown.table.rows.length} clusters`);
    }
  } finally {
    job = null;
    stage.live.hidden = true;
    progress.end();
    $("run").disabled = false;
    refreshRerun();
  }
}

function showFrame(frame) {
  progress.frame(frame);
  stage.showFrame(frame, facts.model?.palette);
}

// --- results

async function showResult(id) {
  const [found, ids] = await Promise.all([api.result(open.id, id), api.labels(open.id, id)]);
  shown = { id, table: found };
  stage.show(ids, found.palette);
  for (const name of ["clusters", "downloads", "tools"]) $(name).hidden = false;
  fillTable();
}

function fillTable() {
  const { rows, can_undo, notes, seconds } = shown.table;
  table.fill($("rows"), rows, { hover, rename: guarded(rename), select: selected });
  brush.classes(shown.table);
  $("summary").textContent = `${rows.length} in ${Number(seconds).toFixed(1)} s`;
  $("undo").disabled = !can_undo && earlier.length === 0;
  $("notes").textContent = notes.map((note) => named(note, open.name)).join("\n");
  $("notes").hidden = notes.length === 0;
  selected([]);
}

let chosen = [];
function selected(clusters) {
  chosen = clusters;
  $("merge").disabled = clusters.length < 2;
  $("merge").textContent = clusters.length < 2 ? "Merge" : `Merge ${clusters.length} clusters`;
}

async function rename(cluster, name) {
  try {
    shown.table = await api.name(open.id, shown.id, cluster, name);
  } finally {
    fillTable();
  }
}

async function change(ask) {
  await ask;
  await showResult(shown.id);
}

// Take back the last name or merge; where there is none, the last run.
async function undo() {
  if (shown.table.can_undo) return change(api.undo(open.id, shown.id));
  const before = earlier.pop();
  try {
    await showResult(before);
  } catch (error) {
    earlier.push(before); // it is still there to go back to
    throw error;
  }
}

function hover(cluster, place) {
  stage.highlight(cluster);
  table.mark($("rows"), cluster);
  const row = shown?.table.rows.find((r) => r.cluster === cluster);
  $("tip").hidden = !row || !place;
  if ($("tip").hidden) return;
  $("tip").firstElementChild.style.background = row.colour;
  $("tip-text").replaceChildren(table.title(row), table.element("span", { className: "faint" }, ` ${table.percent(row.share)}`));
  $("tip").style.left = `${Math.min(place.x + 16, $("stage").clientWidth - $("tip").offsetWidth - 8)}px`;
  $("tip").style.top = `${Math.max(8, place.y - 40)}px`;
}

async function download(name) {
  const blob = await api.file(open.id, shown.id, name, stage.opacity);
  const stem = open.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N} ._-]+/gu, "_").replace(/^\.+/, "") || "image";
  const link = table.element("a", { href: URL.createObjectURL(blob), download: `${stem}_${name}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// --- scribbles

function refreshRerun() {
  $("rerun").disabled = job !== null || !shown || brush.empty();
}

function rerun() {
  brush.become(shown.table.merged);
  return run({ scribbles: brush.runs(), result: shown.id });
}

function setTool(tool) {
  document.querySelector(`input[name=tool][value=${tool}]`).checked = true;
  brush.tool(tool);
  $("paint-bar").hidden = tool === "inspect";
  hover(null);
}

// --- controls

function wire() {
  const on = (id, event, action) => $(id).addEventListener(event, guarded(action));
  on("open", "click", () => $("file").click());
  on("drop", "click", () => $("file").click());
  on("file", "change", (event) => {
    const file = event.target.files[0];
    event.target.value = "";
    return openFile(file);
  });
  on("sample", "click", () => openPicture("china.jpg", api.sample));
  on("run", "click", () => run({
    ...(facts.model ? { mode: $("mode").value } : { k: $("auto").checked ? null : count(0) }),
    result: shown?.id ?? null,
  }));
  on("cancel", "click", () => job && api.cancel(job));
  on("k-less", "click", () => count(-1));
  on("k-more", "click", () => count(1));
  on("k", "change", () => count(0));
  on("auto", "change", () => { for (const id of ["k", "k-less", "k-more"]) $(id).disabled = $("auto").checked; });
  on("merge", "click", () => change(api.merge(open.id, shown.id, chosen)));
  on("undo", "click", undo);
  on("clear", "click", () => { brush.clear(); refreshRerun(); });
  on("rerun", "click", rerun);
  on("opacity", "input", (event) => { stage.opacity = event.target.value / 100; stage.draw(); });
  on("outlines", "change", (event) => { stage.outlines = event.target.checked; stage.draw(); });
  on("original", "click", toggleOriginal);
  on("zoom", "click", () => stage.zoomBy(0));
  stage.zoomed = (zoom) => { $("zoom").textContent = `${Math.round(100 * zoom)} %`; };
  for (const radio of document.querySelectorAll("input[name=tool]"))
    radio.addEventListener("change", () => setTool(radio.value));
  for (const button of document.querySelectorAll("[data-file]"))
    button.addEventListener("click", guarded(() => download(button.dataset.file)));
  wireDrop();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=radio]), select")) return;
    const tool = { v: "inspect", b: "paint", e: "erase" }[event.key];
    if (tool && shown) setTool(tool);
    if (event.key === "o" && shown) toggleOriginal();
    if ((event.key === "+" || event.key === "-") && open) stage.zoomBy(event.key === "+" ? 1.25 : 0.8);
  });
}

function wireDrop() {
  document.addEventListener("dragover", (event) => { event.preventDefault(); $("dragging").hidden = false; });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("dragging").hidden = true; });
  document.addEventListener("drop", guarded((event) => {
    event.preventDefault();
    $("dragging").hidden = true;
    return openFile(event.dataTransfer.files[0]);
  }));
}

function count(change) {
  const value = Math.round(Number($("k").value)) || 1;
  $("k").value = Math.min(Number($("k").max), Math.max(1, value + change));
  return Number($("k").value);
}

function toggleOriginal() {
  stage.original = !stage.original;
  $("original").setAttribute("aria-pressed", stage.original);
  stage.draw();
}

async function start() {
  wire();
  await told;
  $("cap").textContent = (facts.max_pixels / 1e6).toLocaleString("en");
  $("k").max = facts.max_clusters;
  $("version").textContent = `pixelcluster ${facts.version}, on this machine only`;
  if (!facts.model) return;
  $("model").textContent = `Model: ${facts.model.clusters} clusters, ${facts.model.stack}`;
  $("model").hidden = $("mode-row").hidden = false;
  $("count-row").hidden = true;
  $("mode").value = facts.model.mode;
  if (!facts.model.student) { $("mode").value = "exact"; $("mode").disabled = true; }
}

guarded(start)();
