// The page to draw on: the garment, the sheet, and what is to be done next.

import { call } from './api.js';
import { asked, confirmed, icon, make, photoAt, said, tool } from './dom.js';
import { Pad } from './pad.js';
import { Saver } from './saver.js';
import { upload } from './upload.js';

const SAID = {
  saving: 'Saving…',
  saved: 'Saved',
  offline: 'No connection. Draw on: it is kept here and sent later.',
  'signed out': 'Signed out. Draw on: it is kept here.',
};
const KEYS = [
  ['P', 'Pen'], ['E', 'Eraser, by area'], ['S', 'Eraser, by stroke'], ['[ ]', 'Thinner, thicker'],
  ['Ctrl Z', 'Undo'], ['Ctrl Shift Z', 'Redo'], ['+ −', 'Zoom'], ['0', 'Whole sheet'],
  ['Space', 'Hold and drag to move the sheet'], ['M', 'Mirror the view'],
  ['U', 'Photo beside or under the sheet'], ['N', 'Skip to the next photo'],
  ['Ctrl Enter', 'Hand in'], ['?', 'These keys'],
];

export async function show(page, me, named) {
  const task = named ? null : (await call('next_task', '')).task;
  const photo = named || task?.photo;
  if (!photo) {
    page.append(make('div', { class: 'empty' },
      make('h1', {}, 'All drawn'),
      make('p', {}, 'Every photo has a sketch of yours, or one that waits for its review. '
        + 'In the overview you can draw any of them again.'),
      make('a', { class: 'button primary', href: '#/overview' }, 'To the overview')));
    return null;
  }
  const opened = await call('drawing', photo);
  return new DrawPage(page, me, photo, opened).leave;
}

class DrawPage {
  constructor(page, me, photo, { drawing, revision, task, drawn, photos }) {
    this.photo = photo;
    this.task = task;
    this.status = make('span', { class: 'status', role: 'status' });
    this.saver = new Saver(me.name, photo, revision, (state, why) => this.#tell(state, why));
    this.sheet = make('div', {
      class: 'sheet', tabindex: '0', role: 'img', 'aria-label': `Your sketch of ${photo}`,
    });
    this.image = make('img', {
      src: photoAt(photo), alt: `Photo ${photo}`, draggable: 'false',
    });
    this.under = false;
    this.#buildTools();
    this.findings = make('div', { class: 'findings', role: 'alert', hidden: true });
    this.handIn = make('button', { class: 'button primary', onclick: () => this.#submit() },
      'Hand in');
    page.append(
      make('section', { class: 'garment', 'aria-label': 'The garment' },
        this.image, this.#comment(), this.findings),
      make('section', { class: 'easel', 'aria-label': 'The sketch' }, this.tools, this.sheet),
      make('footer', { class: 'bottom' },
        make('span', { class: 'name' }, photo),
        make('span', { class: 'far' }, `${drawn} of ${photos} drawn`), this.status,
        make('span', { class: 'spring' }), this.looks,
        make('button', {
          class: 'button upload', 'aria-label': 'Upload', onclick: () => this.#upload(),
        }, icon('upload'), make('span', {}, 'Upload')),
        make('button', { class: 'button', onclick: () => this.#skip() }, 'Skip'), this.handIn));
    this.page = page;
    this.pad = new Pad(this.sheet, {
      changed: () => this.#changed(),
      moved: () => this.#moved(),
    });
    this.image.addEventListener('load', () => this.pad.draw());
    this.pad.show({ photo: this.image });
    this.pad.load(drawing);
    let kept = this.saver.kept();
    // Saved, but for the answer, which was lost.
    if (kept && JSON.stringify(kept.drawing.strokes) === JSON.stringify(drawing.strokes)) {
      this.saver.forget();
      kept = null;
    }
    if (kept?.fits) this.#take(kept.drawing);
    else if (kept) {
      this.#say(['Strokes that were drawn here never reached the studio, and it has others now.'], [
        make('button', { class: 'button', onclick: () => this.#take(kept.drawing) }, 'Use them'),
        make('button', {
          class: 'button', onclick: () => { this.saver.forget(); this.findings.hidden = true; },
        }, 'Let them go')]);
    }
    this.#pick('pen');
    this.#update();
    this.onKey = (event) => this.#key(event);
    this.onKeyUp = (event) => { if (event.code === 'Space') this.#grab(false); };
    this.onHide = () => { if (document.visibilityState === 'hidden') this.saver.save(); };
    this.onUnload = (event) => { if (this.saver.pending) event.preventDefault(); };
    this.onOnline = () => this.saver.save();
    document.addEventListener('keydown', this.onKey);
    document.addEventListener('keyup', this.onKeyUp);
    document.addEventListener('visibilitychange', this.onHide);
    window.addEventListener('beforeunload', this.onUnload);
    window.addEventListener('online', this.onOnline);
    this.leave = this.leave.bind(this);
    window.clothesPad = this.pad;
    this.sheet.dataset.ready = 'yes';
  }

  async leave() {
    document.removeEventListener('keydown', this.onKey);
    document.removeEventListener('keyup', this.onKeyUp);
    document.removeEventListener('visibilitychange', this.onHide);
    window.removeEventListener('beforeunload', this.onUnload);
    window.removeEventListener('online', this.onOnline);
    this.pad.close();
    await this.saver.close();
  }

  #buildTools() {
    const pick = (name) => () => this.#pick(name);
    this.pens = {
      pen: tool('pen', 'Pen', 'P', pick('pen'), { 'aria-pressed': 'true' }),
      eraser: tool('eraser', 'Eraser, by area', 'E', pick('eraser'), { 'aria-pressed': 'false' }),
      cut: tool('cut', 'Eraser, by stroke', 'S', pick('cut'), { 'aria-pressed': 'false' }),
    };
    this.width = make('input', {
      type: 'range', min: 1, max: 60, step: 1, 'aria-label': 'Width of the line', title: 'Width',
      oninput: () => this.#setWidth(Number(this.width.value)),
    });
    this.pressure = tool('pressure', 'Pressure makes lines wider', '', () => this.#press(),
      { 'aria-pressed': 'true' });
    this.undo = tool('undo', 'Undo', 'Ctrl Z', () => this.pad.undo());
    this.redo = tool('redo', 'Redo', 'Ctrl Shift Z', () => this.pad.redo());
    this.mirror = tool('mirror', 'Mirror the view', 'M', () => this.#mirror(),
      { 'aria-pressed': 'false' });
    this.underTool = tool('photo', 'Photo under the sheet', 'U', () => this.#turnUnder(),
      { 'aria-pressed': 'false' });
    this.opacity = make('input', {
      type: 'range', min: 5, max: 100, value: 35, 'aria-label': 'How strong the photo is',
      title: 'Photo', hidden: true, oninput: () => this.#showPhoto(),
    });
    this.zoomed = make('span', { class: 'zoomed' }, '100 %');
    const group = (...tools) => make('div', { class: 'group' }, tools);
    this.tools = make('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Drawing' },
      group(this.pens.pen, this.pens.eraser, this.pens.cut, this.width, this.pressure),
      group(this.undo, this.redo, tool('clear', 'Clear the sheet', '', () => this.#clear())),
      group(this.underTool, this.opacity, this.mirror));
    this.looks = make('div', { class: 'looks', role: 'group', 'aria-label': 'View' },
      tool('minus', 'Zoom out', '−', () => this.pad.zoomBy(1 / 1.25)), this.zoomed,
      tool('plus', 'Zoom in', '+', () => this.pad.zoomBy(1.25)),
      tool('fit', 'Whole sheet', '0', () => this.pad.fit()),
      tool('download', 'Save a copy as SVG', '', () => this.#download()),
      make('button', {
        type: 'button', class: 'tool', title: 'Keys (?)', 'aria-label': 'Keys',
        onclick: () => this.#help(),
      }, '?'));
  }

  #comment() {
    const { comment } = this.task;
    if (!comment) return null;
    return make('aside', { class: 'comment' }, make('h2', {}, 'Returned'), make('p', {}, comment));
  }

  #tell(state, why) {
    this.status.textContent = why ?? SAID[state];
    this.status.dataset.state = state;
    this.status.title = this.status.textContent;
    if (state === 'refused') this.#say([why]);
    if (state === 'signed out') {
      this.#say(['Your session has ended. Nothing is lost: sign in, and go on here.'], [
        make('a', { class: 'button', href: '/login?close=true', target: '_blank' }, 'Sign in')]);
    }
    if (state === 'saved' && this.signedOut) this.findings.hidden = true;
    this.signedOut = state === 'signed out';
    if (state === 'outdated') {
      this.#say([why], [
        make('button', {
          class: 'button',
          onclick: () => {
            this.saver.wanted = null;
            this.saver.forget();
            location.reload();
          },
        }, 'Use what is there'),
        make('button', {
          class: 'button', onclick: () => { this.findings.hidden = true; this.saver.takeOver(); },
        }, 'Use what is drawn here')]);
    }
  }

  #take(drawing) {
    this.findings.hidden = true;
    this.pad.load(drawing);
    this.saver.want(this.pad.drawing);
    this.#update();
  }

  #changed() {
    if (!this.saver.outdated && !this.signedOut) this.findings.hidden = true;
    this.saver.want(this.pad.drawing);
    this.#update();
  }

  #update() {
    const { length } = this.pad.kept;
    this.undo.disabled = !this.pad.done.length;
    this.redo.disabled = !this.pad.undone.length;
    this.handIn.disabled = !length;
    this.sheet.setAttribute('aria-label',
      `Your sketch of ${this.photo}: ${length} ${length === 1 ? 'stroke' : 'strokes'}`);
  }

  #moved() {
    if (this.pad) this.zoomed.textContent = `${Math.round(100 * this.pad.zoom)} %`;
  }

  #pick(name) {
    this.pad.tool = name;
    for (const [known, button] of Object.entries(this.pens)) {
      button.setAttribute('aria-pressed', known === name);
    }
    this.width.disabled = name === 'cut';
    if (name !== 'cut') this.width.value = this.pad.widths[name];
  }

  #setWidth(width) {
    if (this.pad.tool === 'cut') return;
    this.pad.widths[this.pad.tool] = Math.min(Math.max(width, 1), 60);
    this.width.value = this.pad.widths[this.pad.tool];
  }

  #press() {
    this.pad.usesPressure = !this.pad.usesPressure;
    this.pressure.setAttribute('aria-pressed', this.pad.usesPressure);
  }

  #mirror() {
    this.pad.show({ mirrored: !this.pad.mirrored });
    this.mirror.setAttribute('aria-pressed', this.pad.mirrored);
  }

  #turnUnder() {
    this.under = !this.under;
    this.underTool.setAttribute('aria-pressed', this.under);
    this.opacity.hidden = !this.under;
    this.page.classList.toggle('under', this.under);
    this.#showPhoto();
  }

  #showPhoto() {
    this.pad.show({ opacity: this.under ? this.opacity.value / 100 : 0 });
  }

  #grab(holds) {
    this.pad.hand = holds;
    this.sheet.classList.toggle('grab', holds);
  }

  async #clear() {
    if (await confirmed('Clear the whole sheet? Undo brings it back.', 'Clear')) this.pad.clear();
  }

  #help() {
    const rows = KEYS.map(([key, what]) => [make('dt', {}, key), make('dd', {}, what)]);
    const dialog = make('dialog', { class: 'ask', 'aria-label': 'Keys' },
      make('form', { method: 'dialog' }, make('h2', {}, 'Keys'), make('dl', {}, rows),
        make('div', { class: 'row end' }, make('button', { class: 'button primary' }, 'Close'))));
    asked(dialog);
  }

  #key(event) {
    if (document.querySelector('dialog[open]') || event.target.closest?.('input, textarea')) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = command ? {
      z: () => (event.shiftKey ? this.pad.redo() : this.pad.undo()),
      y: () => this.pad.redo(),
      Enter: () => this.#submit(),
    }[key] : {
      p: () => this.#pick('pen'),
      e: () => this.#pick('eraser'),
      s: () => this.#pick('cut'),
      '[': () => this.#setWidth(this.pad.widths[this.pad.tool] - 1),
      ']': () => this.#setWidth(this.pad.widths[this.pad.tool] + 1),
      '+': () => this.pad.zoomBy(1.25),
      '=': () => this.pad.zoomBy(1.25),
      '-': () => this.pad.zoomBy(1 / 1.25),
      0: () => this.pad.fit(),
      m: () => this.#mirror(),
      u: () => this.#turnUnder(),
      n: () => this.#skip(),
      '?': () => this.#help(),
      ' ': () => { if (!event.target.closest?.('button, a')) this.#grab(true); },
    }[key];
    if (!act || (key === ' ' && event.target.closest?.('button, a'))) return;
    event.preventDefault();
    act();
    this.#update();
  }

  #say(lines, more = []) {
    this.findings.replaceChildren(...lines.map((line) => make('p', {}, line)), ...more);
    this.findings.hidden = false;
  }

  async #skip() {
    await this.saver.save();
    try {
      await call('skip', this.photo);
      const { task } = await call('next_task', this.photo);
      this.#goTo(task);
    } catch (error) {
      this.#say([error.message]);
    }
  }

  async #submit() {
    if (this.handIn.disabled) return;
    this.handIn.disabled = true;
    // What is drawn from here on would be of the next version.
    this.pad.locked = true;
    try {
      this.saver.want(this.pad.drawing);
      await this.saver.save();
      if (this.saver.pending) return;
      this.#outcome(await call('submit', this.photo));
    } catch (error) {
      this.#say([error.message]);
    } finally {
      this.pad.locked = false;
      this.#update();
    }
  }

  async #download() {
    await this.saver.save();
    const name = `${this.photo}.svg`;
    make('a', { href: `/studio/drawing/${encodeURIComponent(name)}`, download: name }).click();
  }

  async #upload() {
    const outcome = await upload(this.photo);
    if (outcome) this.#outcome(outcome);
  }

  async #outcome({ submission, findings, found, revision }) {
    const lines = findings.map(said);
    if (submission === null) {
      this.#say(lines);
      return;
    }
    this.saver.revision = revision;
    const dialog = make('dialog', { class: 'ask wide', 'aria-label': 'Handed in' },
      make('form', { method: 'dialog' },
        make('h2', { class: 'done' }, icon('check'), 'Handed in'),
        lines.length ? make('ul', { class: 'notes' }, lines.map((line) => make('li', {}, line)))
          : make('p', {}, 'A reviewer looks at it next.'),
        found ? retrieved(found, this.photo) : null,
        make('div', { class: 'row end' },
          make('button', { class: 'button', value: 'stay' }, 'Stay here'),
          make('button', { class: 'button primary', value: 'next' }, 'Next photo'))));
    dialog.querySelector('[value=next]').autofocus = true;
    if (await asked(dialog) !== 'stay') this.#goTo((await call('next_task', this.photo)).task);
  }

  #goTo(task) {
    const hash = task ? `#/draw/${encodeURIComponent(task.photo)}` : '#/draw';
    if (location.hash === hash) window.dispatchEvent(new HashChangeEvent('hashchange'));
    else location.hash = hash;
  }
}

// What a sketch retrieves right now, the true photo marked.
export function retrieved({ rank, photos, among }, own) {
  const said = rank === 1 ? 'It finds its own photo first.'
    : `Its own photo comes ${rank}. of ${among}: can the drawing be told from these?`;
  return make('div', { class: 'retrieved' },
    make('p', {}, said),
    make('ol', {}, photos.map(({ photo }) => make('li', { class: photo === own ? 'own' : null },
      make('img', { src: photoAt(photo), alt: `Photo ${photo}` }),
      make('span', {}, photo)))));
}
