// Draw, and see which photos are most like it while you do.

import { call } from './api.js';
import { make, tool } from './dom.js';
import { Pad } from './pad.js';

const REST_MS = 250;

export async function show(page) {
  const list = make('ol', { class: 'found', 'aria-live': 'polite', 'aria-label': 'Photos found' });
  const status = make('p', { class: 'quiet', role: 'status' }, 'Draw a garment.');
  const sheet = make('div', { class: 'sheet', tabindex: '0', role: 'img', 'aria-label': 'Sketch' });
  let timer = null;
  let asked = 0;
  const look = async () => {
    const turn = asked += 1;
    try {
      const { photos } = await call('find', pad.drawing);
      if (turn !== asked) return;
      status.textContent = photos.length ? 'Most alike first' : 'Draw a garment.';
      list.replaceChildren(...photos.map(({ photo, likeness }) => make('li', {},
        make('img', { src: `/studio/photo/${encodeURIComponent(photo)}`, alt: `Photo ${photo}` }),
        make('span', {}, photo), make('span', { class: 'quiet' }, likeness.toFixed(2)))));
    } catch (error) {
      status.textContent = error.message;
    }
  };
  page.append(
    make('section', { class: 'easel', 'aria-label': 'The sketch' },
      make('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Drawing' },
        make('div', { class: 'group' },
          tool('undo', 'Undo', 'Ctrl Z', () => pad.undo()),
          tool('redo', 'Redo', 'Ctrl Shift Z', () => pad.redo()),
          tool('clear', 'Clear the sheet', '', () => pad.clear()))),
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
