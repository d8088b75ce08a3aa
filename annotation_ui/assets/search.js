// Draw, and see which photos are most like it while you do.

import { answered, call } from './api.js';
import { make, photoAt, tool } from './dom.js';
import { Pad } from './pad.js';
import { KINDS } from './upload.js';

const REST_MS = 250;

export async function show(page) {
  const list = make('ol', { class: 'found', 'aria-live': 'polite', 'aria-label': 'Photos found' });
  const status = make('p', { class: 'quiet', role: 'status' }, 'Draw a garment.');
  const sheet = make('div', { class: 'sheet', tabindex: '0', role: 'img', 'aria-label': 'Sketch' });
  let timer = null;
  let looking = false;
  let again = false;
  const tell = ({ photos }) => {
    status.textContent = photos.length ? 'Most alike first' : 'Draw a garment.';
    list.replaceChildren(...photos.map(({ photo, likeness }) => make('li', {},
      make('img', { src: photoAt(photo), alt: `Photo ${photo}` }),
      make('span', {}, photo), make('span', { class: 'quiet' }, likeness.toFixed(2)))));
  };
  const asking = async (ask) => {
    try {
      tell(await ask());
    } catch (error) {
      status.textContent = error.message;
    }
  };
  // One question at a time; what was drawn meanwhile is the next one.
  const look = async () => {
    again = looking;
    if (looking) return;
    looking = true;
    do {
      again = false;
      await asking(() => call('find', JSON.stringify(pad.drawing)));
    } while (again);
    looking = false;
  };
  const chosen = make('input', {
    type: 'file', accept: KINDS, class: 'unseen', 'aria-hidden': 'true', tabindex: '-1',
    onchange: () => asking(async () => answered(
      await fetch('/studio/find', { method: 'POST', body: chosen.files[0] }))),
  });
  page.append(
    make('section', { class: 'easel', 'aria-label': 'The sketch' },
      make('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Drawing' },
        make('div', { class: 'group' },
          tool('undo', 'Undo', 'Ctrl Z', () => pad.undo()),
          tool('redo', 'Redo', 'Ctrl Shift Z', () => pad.redo()),
          tool('clear', 'Clear the sheet', '', () => pad.clear()),
          tool('upload', 'Search with a file', '', () => chosen.click()), chosen)),
      sheet),
    make('section', { class: 'results', 'aria-label': 'Photos' }, status, list));
  const pad = new Pad(sheet, {
    changed: () => {
      clearTimeout(timer);
      timer = setTimeout(look, REST_MS);
    },
  });
  const onKey = (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
    event.preventDefault();
    if (event.shiftKey) pad.redo();
    else pad.undo();
  };
  document.addEventListener('keydown', onKey);
  sheet.dataset.ready = 'yes';
  return async () => {
    clearTimeout(timer);
    document.removeEventListener('keydown', onKey);
    pad.close();
  };
}
