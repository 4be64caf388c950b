// Watch a job: ask the server for new frames, and show them one after the other.

import * as api from "./api.js";

const PAUSE = 120; // ms between questions
const FRAME = 70; // ms a frame is seen
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// Returns the job as it ended. show(frame) draws one, tell(job) says where it stands.
export async function follow(id, show, tell) {
  const waiting = [];
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let next = 0, ended = null, failure = null;

  async function ask() {
    while (!ended && !failure) {
      try {
        const job = await api.job(id, next);
        for (const frame of job.frames) {
          next = frame.number + 1;
          waiting.push({ ...frame, labels: decode(frame.labels) });
        }
        if (!waiting.length) tell(job);
        if (!["queued", "running"].includes(job.state)) ended = job;
        else await wait(PAUSE);
      } catch (error) {
        failure = error;
      }
    }
  }

  const asking = ask();
  while (!failure && !(ended && (waiting.length === 0 || ended.state !== "done"))) {
    if (waiting.length > 40 || calm) waiting.splice(0, waiting.length - 1);
    if (waiting.length) show(waiting.shift());
    await wait(FRAME);
  }
  await asking;
  if (failure) throw failure;
  return ended;
}

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Uint16Array(bytes.buffer); // little-endian, as every browser's machine is
}
