// Scribbles: a class for every pixel that was painted, at the size of the picture.

import { rgb } from "./stage.js";

export class Scribbles {
  constructor(canvas) {
    this.canvas = canvas;
  }

  open(size) {
    this.size = size;
    this.ids = new Uint8Array(size.width * size.height); // 0: nothing, i + 1: class i
    this.count = 0;
    this.clear();
  }

  clear() {
    this.ids.fill(0);
    this.count = 0;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  // Paint from one point to another (in pixels of the picture); cluster null erases.
  line(from, to, radius, cluster, colour) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(1, radius / 2)));
    for (let i = 0; i <= steps; i++) {
      const t = i / steps;
      this.#disc(from.x + t * (to.x - from.x), from.y + t * (to.y - from.y), radius, cluster === null ? 0 : cluster + 1);
    }
    const context = this.canvas.getContext("2d"), scale = this.canvas.width / this.size.width;
    context.globalCompositeOperation = cluster === null ? "destination-out" : "source-over";
    Object.assign(context, { lineCap: "round", lineWidth: 2 * radius * scale, strokeStyle: colour ?? "#000" });
    context.beginPath();
    context.moveTo(from.x * scale, from.y * scale);
    context.lineTo(to.x * scale, to.y * scale + 0.001); // a line of no length is not drawn
    context.stroke();
  }

  // Turn classes that were merged away into those that took them.
  become(merged, palette) {
    for (let p = 0; p < this.ids.length; p++) {
      const taker = merged[this.ids[p] - 1];
      if (taker !== undefined) this.ids[p] = taker + 1;
    }
    const { width, height } = this.canvas, context = this.canvas.getContext("2d"), out = context.createImageData(width, height);
    for (let y = 0, q = 0; y < height; y++) {
      const row = Math.floor(((y + 0.5) * this.size.height) / height) * this.size.width;
      for (let x = 0; x < width; x++, q += 4) {
        const value = this.ids[row + Math.floor(((x + 0.5) * this.size.width) / width)];
        if (value) out.data.set([...rgb(palette[value - 1]), 255], q);
      }
    }
    context.putImageData(out, 0, 0);
  }

  #disc(cx, cy, radius, value) {
    const { width, height } = this.size;
    const top = Math.max(0, Math.ceil(cy - radius)), bottom = Math.min(height - 1, Math.floor(cy + radius));
    for (let y = top; y <= bottom; y++) {
      const half = Math.sqrt(Math.max(0, radius * radius - (y - cy) ** 2));
      const left = Math.max(0, Math.ceil(cx - half)), right = Math.min(width - 1, Math.floor(cx + half));
      for (let p = y * width + left; p <= y * width + right; p++) {
        this.count += (value > 0) - (this.ids[p] > 0);
        this.ids[p] = value;
      }
    }
  }

  // What the server takes: runs of pixels in reading order, [first, number, class].
  runs() {
    const runs = [];
    for (let p = 0; p < this.ids.length; ) {
      const value = this.ids[p], first = p;
      while (p < this.ids.length && this.ids[p] === value) p++;
      if (value) runs.push([first, p - first, value - 1]);
    }
    return { height: this.size.height, width: this.size.width, runs };
  }
}
