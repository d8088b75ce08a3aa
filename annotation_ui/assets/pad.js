// The drawing surface: what the pen does appears at once, and is kept as strokes.
//
// A stroke is { tool, width, points: [[x, y, pressure, ms], …], erased? } in units of the sheet,
// as in strokes/STEM.json; the server draws the same lines from it.

export const SHEET = 1024;
const FURTHEST_IN = 16;
const FURTHEST_OUT = 0.5;
const NEAR = 10;
const PALM_MS = 600;
const PINCH_MS = 250;

export class Pad {
  constructor(host, { changed = () => {}, moved = () => {} } = {}) {
    this.host = host;
    this.changed = changed;
    this.moved = moved;
    this.paper = host.appendChild(document.createElement('canvas'));
    this.ink = host.appendChild(document.createElement('canvas'));
    this.tool = 'pen';
    this.widths = { pen: 6, eraser: 40 };
    this.usesPressure = true;
    this.photo = null;
    this.opacity = 0;
    this.mirrored = false;
    this.view = { scale: 1, x: 0, y: 0 };
    this.load({ strokes: [] });
    this.#listen();
    this.resizing = new ResizeObserver(() => this.#resized());
    this.resizing.observe(host);
    this.fit();
  }

  close() {
    this.resizing.disconnect();
  }

  // What is drawn

  load(drawing) {
    this.strokes = drawing.strokes.map((stroke) => ({ ...stroke, points: [...stroke.points] }));
    const moments = this.strokes.flatMap((stroke) => [
      stroke.erased ?? 0, stroke.points.at(-1)?.[3] ?? 0]);
    this.began = performance.now() - Math.max(0, ...moments);
    // What was drawn before can be undone, too, newest first; what went at once comes at once.
    this.done = this.strokes.map((stroke) => ({ kind: 'draw', strokes: [stroke] }));
    const erased = this.strokes.filter((stroke) => stroke.erased != null);
    const moment = [...new Set(erased.map((stroke) => stroke.erased))].sort((a, b) => a - b);
    for (const at of moment) {
      const strokes = erased.filter((stroke) => stroke.erased === at);
      this.done.push({ kind: 'erase', strokes, at });
    }
    this.undone = [];
    this.current = null;
    this.draw();
  }

  get drawing() {
    return {
      schema: 'clothes-toolkit/strokes/1',
      canvas: [SHEET, SHEET],
      strokes: this.strokes.map(({ tool, width, points, erased }) => (
        erased == null ? { tool, width, points } : { tool, width, points, erased })),
    };
  }

  get kept() {
    return this.strokes.filter((stroke) => stroke.erased == null);
  }

  undo() {
    const step = this.done.pop();
    if (!step) return;
    this.undone.push(step);
    if (step.kind === 'draw') this.strokes.splice(this.strokes.indexOf(step.strokes[0]), 1);
    else for (const stroke of step.strokes) delete stroke.erased;
    this.#redrawn();
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return;
    this.done.push(step);
    if (step.kind === 'draw') this.strokes.push(step.strokes[0]);
    else for (const stroke of step.strokes) stroke.erased = step.at;
    this.#redrawn();
  }

  clear() {
    this.#erase(this.kept);
  }

  #erase(strokes) {
    if (!strokes.length) return;
    const at = this.#now();
    for (const stroke of strokes) stroke.erased = at;
    this.done.push({ kind: 'erase', strokes, at });
    this.undone = [];
    this.#redrawn();
  }

  #redrawn() {
    this.draw();
    this.changed();
  }

  #now() {
    return Math.round(performance.now() - this.began);
  }

  // What is seen

  show({ photo = this.photo, opacity = this.opacity, mirrored = this.mirrored }) {
    Object.assign(this, { photo, opacity, mirrored });
    this.draw();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    this.size = [width, height];
    this.dots = window.devicePixelRatio || 1;
    for (const canvas of [this.paper, this.ink]) {
      canvas.width = Math.round(width * this.dots);
      canvas.height = Math.round(height * this.dots);
    }
    const scale = Math.min(width, height) / SHEET;
    this.view = { scale, x: (width - scale * SHEET) / 2, y: (height - scale * SHEET) / 2 };
    this.least = scale * FURTHEST_OUT;
    this.whole = scale;
    this.draw();
    this.moved();
  }

  // Another size of the window shows the same part of the sheet.
  #resized() {
    const { clientWidth, clientHeight } = this.host;
    if (this.size?.[0] === clientWidth && this.size?.[1] === clientHeight) return;
    const [before, view, zoom] = [this.size, this.view, this.whole && this.zoom];
    this.fit();
    if (!before || !zoom || Math.abs(zoom - 1) < 0.01) return;
    const scale = this.whole * zoom;
    const middle = [0, 1].map((axis) => (
      (before[axis] / 2 - [view.x, view.y][axis]) / view.scale));
    this.#look({
      scale, x: clientWidth / 2 - middle[0] * scale, y: clientHeight / 2 - middle[1] * scale,
    });
  }

  get zoom() {
    return this.view.scale / this.whole;
  }

  zoomBy(factor, at) {
    const { clientWidth, clientHeight } = this.host;
    const [x, y] = at ?? [clientWidth / 2, clientHeight / 2];
    const scale = Math.min(Math.max(this.view.scale * factor, this.least), this.whole * FURTHEST_IN);
    const grown = scale / this.view.scale;
    this.#look({ scale, x: x - (x - this.view.x) * grown, y: y - (y - this.view.y) * grown });
  }

  panBy(dx, dy) {
    this.#look({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  #look(view) {
    // Some of the sheet stays in sight, wherever it is pushed.
    const { clientWidth, clientHeight } = this.host;
    const side = view.scale * SHEET;
    const held = (place, room) => Math.min(Math.max(place, room * 0.2 - side), room * 0.8);
    this.view = { scale: view.scale, x: held(view.x, clientWidth), y: held(view.y, clientHeight) };
    this.draw();
    this.moved();
  }

  draw() {
    if (!this.dots) return;
    const paper = this.#prepared(this.paper);
    paper.fillStyle = '#fff';
    paper.fillRect(0, 0, SHEET, SHEET);
    if (this.photo?.complete && this.photo.naturalWidth && this.opacity) {
      const { naturalWidth, naturalHeight } = this.photo;
      const scale = SHEET / Math.max(naturalWidth, naturalHeight);
      const [width, height] = [scale * naturalWidth, scale * naturalHeight];
      paper.globalAlpha = this.opacity;
      paper.imageSmoothingQuality = 'high';
      paper.drawImage(this.photo, (SHEET - width) / 2, (SHEET - height) / 2, width, height);
      paper.globalAlpha = 1;
    }
    const ink = this.#prepared(this.ink);
    for (const stroke of this.strokes) {
      if (stroke.erased == null) this.#line(ink, stroke, 0);
    }
    if (this.current) this.#line(ink, this.current, 0);
  }

  #prepared(canvas) {
    const context = canvas.getContext('2d');
    // Of the time before: the clip to the sheet.
    context.restore();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const { scale, x, y } = this.view;
    const size = scale * this.dots;
    if (this.mirrored) {
      context.setTransform(-size, 0, 0, size, (x + scale * SHEET) * this.dots, y * this.dots);
    } else context.setTransform(size, 0, 0, size, x * this.dots, y * this.dots);
    context.beginPath();
    context.rect(0, 0, SHEET, SHEET);
    context.save();
    context.clip();
    context.lineCap = 'round';
    context.lineJoin = 'round';
    return context;
  }

  #line(context, { tool, width, points }, from) {
    context.globalCompositeOperation = tool === 'eraser' ? 'destination-out' : 'source-over';
    context.strokeStyle = '#000';
    for (let i = Math.max(from, 1); i < points.length; i += 1) {
      const [x, y, pressure] = points[i];
      context.lineWidth = width * (pressure ?? 1);
      context.beginPath();
      context.moveTo(points[i - 1][0], points[i - 1][1]);
      context.lineTo(x, y);
      context.stroke();
    }
    if (from === 0 && points.length) {
      const [x, y, pressure] = points[0];
      context.fillStyle = '#000';
      context.beginPath();
      context.arc(x, y, (width * (pressure ?? 1)) / 2, 0, 2 * Math.PI);
      context.fill();
    }
  }

  // What the hand does

  #listen() {
    this.pointers = new Map();
    this.lastPen = -Infinity;
    this.hand = false;
    const on = (name, act, options) => this.host.addEventListener(name, act, options);
    on('pointerdown', (event) => this.#down(event));
    on('pointermove', (event) => this.#move(event));
    on('pointerup', (event) => this.#up(event));
    // What the system takes away half-drawn stays, and can be undone.
    on('pointercancel', (event) => this.#up(event));
    on('contextmenu', (event) => event.preventDefault());
    on('wheel', (event) => {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey || !event.shiftKey) {
        this.zoomBy(Math.exp(-event.deltaY / 400), this.#place(event));
      } else this.panBy(-event.deltaY, 0);
    }, { passive: false });
    // Some tablets scroll in spite of touch-action.
    on('touchmove', (event) => event.preventDefault(), { passive: false });
  }

  #place(event) {
    const box = this.host.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #onSheet(event) {
    const [x, y] = this.#place(event);
    const across = (x - this.view.x) / this.view.scale;
    const down = (y - this.view.y) / this.view.scale;
    return [this.mirrored ? SHEET - across : across, down];
  }

  #point(event) {
    const [x, y] = this.#onSheet(event);
    const round = (value, parts) => Math.round(value * parts) / parts;
    const felt = this.usesPressure && event.pointerType === 'pen';
    const last = this.current?.points.at(-1)?.[3] ?? 0;
    const moment = Math.max(last, Math.round(event.timeStamp - this.began));
    return [round(x, 100), round(y, 100), felt ? round(event.pressure, 1000) : null, moment];
  }

  #down(event) {
    if (this.locked) return;
    if (event.pointerType === 'mouse' && event.button !== 0 && event.button !== 1) return;
    event.preventDefault();
    this.host.focus({ preventScroll: true, focusVisible: false });
    if (event.pointerType === 'pen') {
      this.lastPen = event.timeStamp;
      // A palm that touched before the pen did must not pinch.
      for (const [id, pointer] of this.pointers) {
        if (pointer.type === 'touch') this.pointers.delete(id);
      }
      if (this.current?.type === 'touch') this.current = null;
      this.#uncut();
    }
    const touch = event.pointerType === 'touch';
    if (touch && this.pointers.size && this.current?.type === 'pen') return;
    if (touch && event.timeStamp - this.lastPen < PALM_MS) return;
    this.host.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { type: event.pointerType, at: this.#place(event) });
    if (touch && this.#touches().length === 2) {
      // The first finger was not drawing, it was half of a pinch; but for a line that was longer.
      if (this.current && event.timeStamp - this.began - this.current.points[0][3] > PINCH_MS) {
        this.#finish();
      }
      this.current = null;
      this.#uncut();
      this.draw();
      return;
    }
    // Where there is a pen, fingers move the sheet.
    const moves = this.hand || event.button === 1 || (touch && this.lastPen > -Infinity);
    if (moves || this.#touches().length > 1) return;
    if (this.tool === 'cut') {
      this.cutting = [];
      this.cutAt = null;
      this.pointer = event.pointerId;
      this.#cut(event);
      return;
    }
    const width = this.widths[this.tool];
    this.current = { tool: this.tool, width, points: [], type: event.pointerType };
    this.pointer = event.pointerId;
    this.#extend([event]);
  }

  #touches() {
    return [...this.pointers.values()].filter((pointer) => pointer.type === 'touch');
  }

  #move(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return;
    if (event.pointerType === 'pen') this.lastPen = event.timeStamp;
    const touches = this.#touches();
    if (touches.length === 2 && pointer.type === 'touch') {
      this.#pinch(pointer, touches, event);
    } else if (this.current && event.pointerId === this.pointer) {
      const coalesced = event.getCoalescedEvents?.() ?? [];
      this.#extend(coalesced.length ? coalesced : [event]);
    } else if (this.cutting && event.pointerId === this.pointer) this.#cut(event);
    else {
      const [x, y] = this.#place(event);
      this.panBy(x - pointer.at[0], y - pointer.at[1]);
    }
    pointer.at = this.#place(event);
  }

  #pinch(pointer, touches, event) {
    const other = touches.find((touch) => touch !== pointer);
    const now = this.#place(event);
    const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const [before, after] = [middle(pointer.at, other.at), middle(now, other.at)];
    this.panBy(after[0] - before[0], after[1] - before[1]);
    this.zoomBy(apart(now, other.at) / Math.max(apart(pointer.at, other.at), 1), after);
  }

  #extend(events) {
    const from = this.current.points.length;
    for (const event of events) {
      const point = this.#point(event);
      const last = this.current.points.at(-1);
      if (last && last[0] === point[0] && last[1] === point[1] && last[2] === point[2]) continue;
      this.current.points.push(point);
    }
    this.#line(this.ink.getContext('2d'), this.current, from);
  }

  #cut(event) {
    const place = this.#onSheet(event);
    const near = NEAR / this.view.scale;
    // A fast hand leaps: what lies on the way is cut, too.
    const [x, y] = this.cutAt ?? place;
    const steps = Math.ceil(Math.hypot(place[0] - x, place[1] - y) / near);
    const way = Array.from({ length: steps + 1 }, (_, i) => [
      x + ((place[0] - x) * i) / Math.max(steps, 1), y + ((place[1] - y) * i) / Math.max(steps, 1)]);
    this.cutAt = place;
    const hit = this.kept.filter((stroke) => stroke.tool === 'pen'
      && way.some((on) => touches(stroke, ...on, near)));
    if (!hit.length) return;
    const at = this.#now();
    for (const stroke of hit) stroke.erased = at;
    this.cutting.push(...hit);
    this.draw();
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.cutting && event.pointerId === this.pointer) {
      const cut = this.cutting;
      this.cutting = null;
      if (cut.length) {
        this.done.push({ kind: 'erase', strokes: cut, at: cut[0].erased });
        this.undone = [];
        this.changed();
      }
    } else if (this.current && event.pointerId === this.pointer) this.#finish();
  }

  #finish() {
    const { tool, width, points } = this.current;
    this.current = null;
    const stroke = { tool, width, points };
    this.strokes.push(stroke);
    this.done.push({ kind: 'draw', strokes: [stroke] });
    this.undone = [];
    this.changed();
  }

  // What a palm or half a pinch has cut comes back.
  #uncut() {
    for (const stroke of this.cutting ?? []) delete stroke.erased;
    this.cutting = null;
    this.draw();
  }
}

function touches({ points, width }, x, y, near) {
  const reach = near + width / 2;
  return points.some(([ax, ay], i) => {
    const [bx, by] = points[Math.min(i + 1, points.length - 1)];
    const [dx, dy] = [bx - ax, by - ay];
    const length = dx * dx + dy * dy;
    const along = length ? Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
    return Math.hypot(x - ax - along * dx, y - ay - along * dy) <= reach;
  });
}
