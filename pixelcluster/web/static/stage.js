// The picture and its overlay. All of it is drawn here from the label map, so that hovering needs no server.

const LARGEST = 1e6; // pixels that are drawn; larger pictures are shown shrunk, and sent so (`files.py`)
const LARGEST_SIDE = 32000; // of a canvas, in any browser
const LARGEST_FRAME = 4e5; // of a moment of a run

export class Stage {
  constructor(room, layers, view, live, marks) {
    Object.assign(this, { room, layers, view, live, marks });
    this.opacity = 0.5;
    this.outlines = true;
    this.original = false;
    this.hot = null;
    this.labels = null;
    this.zoom = 1;
    this.pan = { x: 0, y: 0 };
    this.zoomed = () => {};
    new ResizeObserver(() => this.fit()).observe(room);
  }

  // Show a picture without labels. size: of the picture in pixels; the image may be any scaled version.
  open(image, size) {
    this.size = size;
    const scale = Math.min(1, Math.sqrt(LARGEST / (size.width * size.height)), LARGEST_SIDE / Math.max(size.width, size.height));
    this.width = Math.max(1, Math.round(size.width * scale));
    this.height = Math.max(1, Math.round(size.height * scale));
    for (const canvas of [this.view, this.marks]) Object.assign(canvas, { width: this.width, height: this.height });
    this.context = this.view.getContext("2d", { willReadFrequently: true });
    this.context.drawImage(image, 0, 0, this.width, this.height);
    this.picture = this.context.getImageData(0, 0, this.width, this.height);
    this.image = image;
    this.labels = null;
    this.hot = null;
    this.live.hidden = true;
    this.layers.hidden = false;
    this.zoom = 1;
    this.fit();
  }

  // Place the layers: as large as the room allows, times the zoom, moved by what was panned.
  fit() {
    if (!this.size) return;
    const room = { width: this.room.clientWidth - 48, height: this.room.clientHeight - 148 }; // and the toolbars
    const whole = Math.min(room.width / this.size.width, room.height / this.size.height);
    this.scale = whole * this.zoom;
    const width = this.size.width * this.scale, height = this.size.height * this.scale;
    const reach = { x: Math.max(0, (width - room.width) / 2), y: Math.max(0, (height - room.height) / 2) };
    for (const axis of ["x", "y"]) this.pan[axis] = Math.min(reach[axis], Math.max(-reach[axis], this.pan[axis]));
    this.middle = { x: room.width / 2 + 24, y: room.height / 2 + 24 };
    Object.assign(this.layers.style, {
      width: `${width}px`, height: `${height}px`,
      left: `${this.middle.x + this.pan.x - width / 2}px`, top: `${this.middle.y + this.pan.y - height / 2}px`,
    });
    this.layers.classList.toggle("large", this.scale > 3);
    this.zoomed(this.zoom);
  }

  // Zoom by a factor; the place under (x, y), in pixels of the room, stays there.
  zoomBy(factor, { x, y } = this.middle) {
    const zoom = Math.min(16, Math.max(1, this.zoom * factor)), growth = zoom / this.zoom;
    this.pan.x = (x - this.middle.x) * (1 - growth) + this.pan.x * growth;
    this.pan.y = (y - this.middle.y) * (1 - growth) + this.pan.y * growth;
    this.zoom = zoom;
    this.fit();
  }

  panBy(x, y) {
    this.pan.x += x;
    this.pan.y += y;
    this.fit();
  }

  // ids: Uint8Array of the whole picture; palette: ["#rrggbb"].
  show(ids, palette) {
    const { width, height, size } = this;
    if (width === size.width && height === size.height) {
      this.labels = ids;
    } else {
      this.labels = new Uint8Array(width * height);
      for (let y = 0; y < height; y++) {
        const row = Math.floor(((y + 0.5) * size.height) / height) * size.width;
        for (let x = 0; x < width; x++)
          this.labels[y * width + x] = ids[row + Math.floor(((x + 0.5) * size.width) / width)];
      }
    }
    this.colours = palette.map(rgb);
    this.live.hidden = true;
    this.draw();
  }

  highlight(cluster) {
    if (cluster === this.hot) return;
    this.hot = cluster;
    this.draw();
  }

  at(x, y) {
    const { labels, width, height } = this;
    if (!labels || x < 0 || y < 0 || x >= 1 || y >= 1) return null;
    return labels[Math.floor(y * height) * width + Math.floor(x * width)];
  }

  draw() {
    if (!this.picture) return;
    if (!this.labels || this.original) return this.context.putImageData(this.picture, 0, 0);
    const { width, height, labels, colours, hot } = this;
    const out = this.context.createImageData(width, height);
    const from = this.picture.data, to = out.data;
    // The mixture of `render.overlay`, which the download has too: some of the picture's colour leaves with the tint.
    const strength = hot === null ? this.opacity : Math.min(this.opacity, 0.3);
    const keep = (1 - strength) * (1 - 0.7 * strength), grey = (1 - strength) * 0.7 * strength;
    for (let y = 0, p = 0; y < height; y++) {
      for (let x = 0; x < width; x++, p++) {
        const k = labels[p], q = 4 * p;
        const r = from[q], g = from[q + 1], b = from[q + 2];
        const luma = 0.299 * r + 0.587 * g + 0.114 * b;
        const right = x + 1 < width ? labels[p + 1] : k, below = y + 1 < height ? labels[p + width] : k;
        const edge = hot === null
          ? this.outlines && (k !== right || k !== below)
          : (k === hot) !== (right === hot) || (k === hot) !== (below === hot);
        if (hot !== null && k !== hot) {
          const dim = 0.3 * luma;
          to[q] = dim; to[q + 1] = dim; to[q + 2] = dim;
        } else {
          const c = colours[k];
          to[q] = keep * r + grey * luma + strength * c[0];
          to[q + 1] = keep * g + grey * luma + strength * c[1];
          to[q + 2] = keep * b + grey * luma + strength * c[2];
        }
        if (edge) for (let i = q; i < q + 3; i++) to[i] = 0.2 * to[i] + 0.8 * 255;
        to[q + 3] = 255;
      }
    }
    this.context.putImageData(out, 0, 0);
  }

  // A moment of a run: labels on a grid. Regions have the mean colour of the picture under them while ids still
  // change their meaning from moment to moment, and the palette's colours where a model fixes the ids.
  showFrame(frame, palette) {
    const { labels } = frame;
    const grid = canvasOf(this.image, frame.width, frame.height).getImageData(0, 0, frame.width, frame.height).data;
    const colours = palette ? palette.map(rgb) : means(grid, labels);
    const scale = Math.min(1, Math.sqrt(LARGEST_FRAME / (this.width * this.height)));
    const width = Math.max(1, Math.round(this.width * scale)), height = Math.max(1, Math.round(this.height * scale));
    const context = canvasOf(this.image, width, height, this.live), out = context.getImageData(0, 0, width, height);
    const columns = Uint32Array.from({ length: width + 1 }, (_, x) => cell(x, width, frame.width));
    for (let y = 0, q = 0; y < height; y++) {
      const row = cell(y, height, frame.height) * frame.width, below = cell(y + 1, height, frame.height) * frame.width;
      for (let x = 0; x < width; x++, q += 4) {
        const k = labels[row + columns[x]];
        const edge = k !== labels[row + columns[x + 1]] || k !== labels[below + columns[x]];
        for (let i = 0; i < 3; i++) {
          const v = palette ? 0.45 * out.data[q + i] + 0.55 * colours[k][i] : colours[k][i];
          out.data[q + i] = edge ? 0.3 * v + 0.7 * 255 : v;
        }
      }
    }
    context.putImageData(out, 0, 0);
    this.live.hidden = false;
  }
}

const cell = (at, length, cells) => Math.floor(((Math.min(at, length - 1) + 0.5) * cells) / length);

function canvasOf(image, width, height, canvas = document.createElement("canvas")) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context;
}

function means(pixels, labels) {
  const sums = [];
  for (let p = 0; p < labels.length; p++) {
    const s = (sums[labels[p]] ??= [0, 0, 0, 0]);
    for (let i = 0; i < 3; i++) s[i] += pixels[4 * p + i];
    s[3]++;
  }
  return sums.map((s) => s && [s[0] / s[3], s[1] / s[3], s[2] / s[3]]);
}

export function rgb(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
