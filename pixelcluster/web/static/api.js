// Requests to the server. Every failure is an Error whose message is one line for the user.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; is pixelcluster serve still running?");
  }
  if (answer.ok) return answer;
  let message = `The server answered ${answer.status}`;
  try {
    message = (await answer.json()).error ?? message;
  } catch { /* no JSON: the status says what is known */ }
  throw new Error(message);
}

const json = async (path, options) => (await ask(path, options)).json();
const post = (path, body) =>
  json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });
const at = (picture, result) => `/api/pictures/${picture}/results/${result}`;

export const about = () => json("/api/about");
export const sample = () => post("/api/sample");
export const upload = (file) =>
  json("/api/pictures", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
export const view = (picture) => `/api/pictures/${picture}`;

export const run = (picture, asked) => post(`/api/pictures/${picture}/runs`, asked);
export const job = (id, after) => json(`/api/jobs/${id}?after=${after}`);
export const cancel = (id) => json(`/api/jobs/${id}`, { method: "DELETE" });

export const result = (picture, id) => json(at(picture, id));
export const labels = async (picture, id) =>
  new Uint8Array(await (await ask(`${at(picture, id)}/labels`)).arrayBuffer());
export const name = (picture, id, cluster, name) => post(`${at(picture, id)}/name`, { cluster, name });
export const merge = (picture, id, clusters) => post(`${at(picture, id)}/merge`, { clusters });
export const undo = (picture, id) => post(`${at(picture, id)}/undo`);
export const file = async (picture, id, file, opacity) =>
  (await ask(`${at(picture, id)}/files/${file}?opacity=${opacity}`)).blob();
