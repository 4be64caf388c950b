// Light or dark: as the system has it, until somebody chooses.

const root = document.documentElement, button = document.getElementById("theme");

function set(name) {
  root.dataset.theme = name;
  button.setAttribute("aria-pressed", name === "dark");
}

let kept = null;
try { kept = localStorage.getItem("theme"); } catch { /* a private window keeps nothing */ }
set(kept ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
button.addEventListener("click", () => {
  set(root.dataset.theme === "dark" ? "light" : "dark");
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* as above */ }
});
