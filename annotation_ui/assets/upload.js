// A sketch drawn elsewhere: chosen, seen as it will be, and handed in.

import { answered } from './api.js';
import { asked, make } from './dom.js';

const SHOWN_AFTER_MS = 200;
export const KINDS = 'image/png,image/jpeg,image/webp,image/svg+xml,application/pdf';

// Resolves to what handing in gave, or null where it was left.
export async function upload(photo) {
  let file = null;
  let timer = null;
  let turn = 0;
  let looks = 0;
  const picture = make('img', { class: 'preview', alt: 'The sketch as it will be', hidden: true });
  const told = make('p', { class: 'refusal', role: 'alert', hidden: true });
  const scan = make('input', { type: 'checkbox', onchange: () => later() });
  const threshold = make('input', {
    type: 'range', min: 5, max: 90, value: 30, disabled: true,
    'aria-label': 'How dark a pixel is ink', oninput: () => later(),
  });
  const page = make('input', { type: 'number', min: 1, value: 1, oninput: () => later() });
  const pages = make('label', { class: 'row', hidden: true }, 'Page', page);
  const choices = make('div', { class: 'choices', hidden: true },
    make('label', { class: 'row' }, scan, 'A scan: black lines on white'), threshold, pages,
    make('button', {
      type: 'button', class: 'button', onclick: () => { turn += 1; later(); },
    }, 'Turn'));
  const chosen = make('input', {
    type: 'file', accept: KINDS, 'aria-label': 'File',
    onchange: () => {
      [file] = chosen.files;
      pages.hidden = !/pdf$/i.test(file?.type ?? '');
      choices.hidden = !file;
      turn = 0;
      later();
    },
  });
  const handIn = make('button', { class: 'button primary', type: 'button', disabled: true },
    'Hand in');
  const ask = async (more = {}) => {
    const query = new URLSearchParams({ page: page.value || 1, turn, ...more });
    if (scan.checked) query.set('threshold', threshold.value / 100);
    const response = await fetch(`/studio/upload/${encodeURIComponent(photo)}?${query}`, {
      method: 'POST', body: file,
    }).catch(() => null);
    if (!response) throw new Error('The studio cannot be reached.');
    return answered(response);
  };
  const say = (message) => {
    told.textContent = message ?? '';
    told.hidden = !message;
  };
  const later = () => {
    threshold.disabled = !scan.checked;
    handIn.disabled = true;
    clearTimeout(timer);
    if (file) timer = setTimeout(look, SHOWN_AFTER_MS);
  };
  const look = async () => {
    const number = looks += 1;
    say();
    try {
      const found = await ask();
      if (number !== looks) return;
      picture.src = found.picture;
      picture.hidden = false;
      handIn.disabled = false;
    } catch (error) {
      if (number !== looks) return;
      picture.hidden = true;
      say(error.message);
    }
  };
  const dialog = make('dialog', { class: 'ask wide', 'aria-label': 'Upload a sketch' },
    make('form', { method: 'dialog' },
      make('h2', {}, `A sketch of ${photo}, drawn elsewhere`),
      make('p', { class: 'quiet' }, 'PNG, JPEG, WebP, SVG or a page of a PDF.'),
      chosen, choices, picture, told,
      make('div', { class: 'row end' }, make('button', { class: 'button' }, 'Cancel'), handIn)));
  let outcome = null;
  handIn.addEventListener('click', async () => {
    handIn.disabled = true;
    try {
      const found = await ask({ hand_in: true });
      if (found.submission === null) {
        say(found.findings.map(({ message }) => message).join('; '));
        return;
      }
      outcome = found;
      dialog.close();
    } catch (error) {
      say(error.message);
      handIn.disabled = false;
    }
  });
  await asked(dialog);
  return outcome;
}
