// What is seen beside the picture while a job runs: stage, bar, and the objective as a line.

import { element } from "./table.js";

const STAGES = {
  evidence: "Reading colour and texture",
  boundaries: "Finding boundaries",
  merging: "Merging regions",
  pixels: "Sharpening to pixels",
  chains: "Running the chains",
  done: "Done",
};

const $ = (id) => document.getElementById(id);
let objective = [];

export function begin() {
  objective = [];
  $("progress").hidden = false;
  $("chart").setAttribute("hidden", "");
  $("chart-text").textContent = "";
}

export function end() {
  $("progress").hidden = true;
}

// state: { state, ahead, stage, share } of a job, or a frame.
export function stands(state) {
  const place = state.ahead === 1 ? "one job ahead" : `${state.ahead} jobs ahead`;
  $("stage-name").textContent = state.state === "queued" ? `Waiting, ${place}` : STAGES[state.stage] ?? "Starting";
  $("done").style.width = `${100 * state.share}%`;
}

export function frame(frame) {
  stands(frame);
  if (frame.objective === null) return;
  objective.push(frame.objective);
  const { line, area } = chartPaths(objective);
  $("chart").removeAttribute("hidden");
  $("chart-line").setAttribute("d", line);
  $("chart-area").setAttribute("d", area);
  const regions = `${frame.clusters} ${frame.stage === "chains" ? "clusters" : "regions"}`;
  const value = `objective ${frame.objective.toLocaleString("en", { maximumFractionDigits: 1 })}`;
  $("chart-text").replaceChildren(element("span", {}, regions), element("span", {}, value));
}

// The values as two SVG paths in a box of 300 x 64.
function chartPaths(values) {
  const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
  const points = values.map((v, i) => {
    const x = values.length > 1 ? (300 * i) / (values.length - 1) : 0;
    return `${x.toFixed(1)},${(58 - (52 * (v - low)) / span).toFixed(1)}`;
  });
  const line = `M${points.join("L")}`;
  return { line, area: `${line}L300,64L0,64Z` };
}
