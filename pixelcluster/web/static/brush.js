// The pointer and the keys on the picture: inspecting, painting, erasing.

import { Scribbles } from "./paint.js";
import { element, swatch, title } from "./table.js";

const $ = (id) => document.getElementById(id);

export class Brush {
  #tool = "inspect";
  #last = null; // where the stroke was, in pixels of the picture
  #grip = null; // where the picture is held to move it, in pixels of the window
  #place = { x: 0.5, y: 0.5 }; // of the keyboard's cursor, as shares of the picture
  #chosen = 0;
  #palette = [];

  // on: { hover(cluster|null, place), changed() }
  constructor(stage, on) {
    Object.assign(this, { stage, on });
    this.canvas = stage.marks;
    this.scribbles = new Scribbles(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerleave", () => this.#leave());
    for (const name of ["pointerup", "pointercancel"])
      this.canvas.addEventListener(name, () => { this.#last = this.#grip = null; });
    stage.room.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("blur", () => this.#leave());
  }

  open(size) {
    this.scribbles.open(size);
    this.#place = { x: 0.5, y: 0.5 };
  }

  tool(name) {
    this.#tool = this.canvas.dataset.tool = name;
    $("cursor").hidden = true;
  }

  clear() { this.scribbles.clear(); }
  empty() { return this.scribbles.count === 0; }
  runs() { return this.scribbles.runs(); }
  become(merged) { this.scribbles.become(merged, this.#palette); }

  // Offer the clusters of a result as classes; without a model, a new one as well.
  classes({ rows, palette, new_class }) {
    this.#palette = palette;
    const known = [...rows].sort((a, b) => a.cluster - b.cluster);
    const offers = known.map((row) => ({ cluster: row.cluster, colour: row.colour, text: row.name || String(row.cluster), label: title(row) }));
    if (new_class !== null) offers.push({ cluster: new_class, colour: palette[new_class], text: "New", label: "A new class" });
    if (!offers.some((offer) => offer.cluster === this.#chosen)) this.#chosen = offers[0].cluster;
    $("classes").replaceChildren(...offers.map((offer) => {
      const chip = element("button", { type: "button", className: "chip", title: offer.label, ariaLabel: offer.label }, swatch(offer.colour), offer.text);
      chip.setAttribute("role", "radio");
      chip.dataset.cluster = offer.cluster;
      chip.classList.toggle("new", offer.cluster === new_class);
      chip.addEventListener("click", () => this.#choose(offer.cluster));
      return chip;
    }));
    this.#choose(this.#chosen);
  }

  #choose(cluster) {
    this.#chosen = cluster;
    for (const chip of $("classes").children) {
      const chosen = chip.dataset.cluster === String(cluster);
      chip.setAttribute("aria-checked", chosen);
      if (chosen) chip.scrollIntoView({ block: "nearest", inline: "center" });
    }
  }

  get #radius() { return Math.max(0.6, Number($("brush").value) / 2 / this.stage.scale); }

  #share(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    if (this.#tool === "inspect" || event.button === 1) this.#grip = { x: event.clientX, y: event.clientY };
    else if (event.button === 0) this.#stroke(this.#share(event));
  }

  #move(event) {
    if (this.#grip) {
      this.stage.panBy(event.clientX - this.#grip.x, event.clientY - this.#grip.y);
      this.#grip = { x: event.clientX, y: event.clientY };
      return;
    }
    for (const e of event.getCoalescedEvents?.() ?? [event]) this.#to(this.#share(e), this.#last !== null);
    this.#to(this.#share(event), this.#last !== null);
  }

  #wheel(event) {
    if (event.target.closest(".float") || this.stage.layers.hidden) return;
    event.preventDefault();
    const box = this.stage.room.getBoundingClientRect();
    this.stage.zoomBy(Math.exp(-event.deltaY / 500), { x: event.clientX - box.left, y: event.clientY - box.top });
    this.#move(event);
  }

  #to(place, painting) {
    this.#place = place;
    if (this.#tool === "inspect") return this.#inspect();
    const diameter = 2 * this.#radius * this.stage.scale, cursor = $("cursor");
    cursor.hidden = false;
    Object.assign(cursor.style, {
      left: `${100 * place.x}%`, top: `${100 * place.y}%`, width: `${diameter}px`, height: `${diameter}px`,
    });
    if (painting) this.#stroke(place);
  }

  #inspect() {
    const { x, y } = this.#place, layers = this.stage.layers;
    this.on.hover(this.stage.at(x, y), {
      x: layers.offsetLeft + x * layers.clientWidth, y: layers.offsetTop + y * layers.clientHeight,
    });
  }

  #stroke(place) {
    const { width, height } = this.scribbles.size;
    const to = { x: place.x * width - 0.5, y: place.y * height - 0.5 };
    const cluster = this.#tool === "erase" ? null : this.#chosen;
    this.scribbles.line(this.#last ?? to, to, this.#radius, cluster, this.#palette[cluster]);
    this.#last = to;
    this.on.changed();
  }

  #leave() {
    $("cursor").hidden = true;
    if (this.#tool === "inspect") this.on.hover(null);
  }

  #key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const step = (event.shiftKey ? 1 : 8) / this.stage.scale;
    if (move) {
      const { width, height } = this.scribbles.size;
      this.#to({
        x: Math.min(0.999, Math.max(0, this.#place.x + (move[0] * step) / width)),
        y: Math.min(0.999, Math.max(0, this.#place.y + (move[1] * step) / height)),
      }, false);
    } else if (event.key === " " && this.#tool !== "inspect") {
      this.#stroke(this.#place);
      this.#last = null;
    } else {
      return;
    }
    event.preventDefault();
  }
}
