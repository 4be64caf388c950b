// The clusters as rows: select, name, share, mean colour.

export const percent = (share) =>
  share > 0 && share < 0.001 ? "<0.1 %" : `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

export const title = (row) => row.name || `Cluster ${row.cluster}`;

// on: { hover(cluster|null), rename(cluster, name), select(clusters) }
export function fill(body, rows, on) {
  const largest = Math.max(...rows.map((row) => row.share));
  const picked = new Set();
  body.replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    line.dataset.cluster = row.cluster;

    const box = element("input", { type: "checkbox", ariaLabel: `Select ${title(row)} to merge` });
    box.addEventListener("change", () => {
      picked[box.checked ? "add" : "delete"](row.cluster);
      on.select([...picked]);
    });
    const name = element("input", {
      type: "text", value: row.name, placeholder: `Cluster ${row.cluster}`, maxLength: 60, spellcheck: false,
      ariaLabel: `Name of cluster ${row.cluster}`, title: "Type to rename",
    });
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter") name.blur();
      if (event.key === "Escape") { name.value = row.name; name.blur(); }
    });
    name.addEventListener("change", () => on.rename(row.cluster, name.value.trim()));
    const called = element("div", { className: "called" }, swatch(row.colour), name);

    const filled = element("b", {});
    filled.style.width = `${(100 * row.share) / largest}%`;
    filled.style.background = row.colour;
    const share = element("div", { className: "share number" }, percent(row.share), element("i", {}, filled));
    const mean = element("span", { className: "mean" }, swatch(row.mean_colour), row.mean_colour);

    line.append(cell(box), cell(called), cell(share), cell(mean, "number"));
    line.addEventListener("pointerenter", () => on.hover(row.cluster));
    line.addEventListener("pointerleave", () => on.hover(null));
    line.addEventListener("focusin", () => on.hover(row.cluster));
    line.addEventListener("focusout", () => on.hover(null));
    return line;
  }));
}

// Mark the row of a cluster, or none.
export function mark(body, cluster) {
  for (const line of body.rows) line.classList.toggle("hot", line.dataset.cluster === String(cluster));
}

export function swatch(colour) {
  const box = element("span", { className: "swatch" });
  box.style.background = colour;
  return box;
}

export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function cell(content, className = "") {
  return element("td", { className }, content);
}
