// Who has drawn what, and a designer's own way to any photo.

import { call, sentence } from './api.js';
import { fill, make, photoAt } from './dom.js';

const SAID = {
  done: 'in the dataset', waiting: 'waits for a review', returned: 'returned',
  started: 'begun', open: 'to be drawn', skipped: 'skipped',
};

export async function show(page, me) {
  const [{ photos, designers, standing }, own] = await Promise.all([
    call('coverage'), me.draws ? call('tasks') : { tasks: [] }]);
  const drawn = standing.flat().filter((one) => one === 'done').length;
  const ready = own.tasks.filter(({ standing: s }) => s === 'done' || s === 'waiting').length;
  fill(page,
    make('div', { class: 'summary' },
      figure(drawn, drawn === 1 ? 'sketch in the dataset' : 'sketches in the dataset'),
      figure(photos.length, photos.length === 1 ? 'photo' : 'photos'),
      me.draws ? figure(`${ready} of ${photos.length}`, 'drawn by you') : null),
    me.reviews ? adding() : null,
    me.draws ? make('section', { 'aria-label': 'Your photos' },
      make('h2', {}, 'Your photos'),
      make('ul', { class: 'tiles' }, own.tasks.map(tile))) : null,
    make('section', { 'aria-label': 'All designers' },
      make('h2', {}, 'All designers'),
      designers.length ? matrix(photos, designers, standing)
        : make('p', { class: 'quiet' }, 'Nobody has drawn anything yet.')));
  return null;
}

// New photos, one after the other; what was refused is said, with the twin shown.
function adding() {
  const told = make('ul', { class: 'added', 'aria-live': 'polite' });
  const chosen = make('input', {
    type: 'file', multiple: true, accept: 'image/png,image/jpeg,image/webp', class: 'unseen',
    onchange: async () => {
      for (const file of [...chosen.files]) told.append(await add(file));
      chosen.value = '';
    },
  });
  return make('section', { 'aria-label': 'New photos' },
    make('label', { class: 'button adds' }, 'Add photos', chosen), told);
}

async function add(file) {
  const response = await fetch('/studio/photos', { method: 'POST', body: file }).catch(() => null);
  const body = await response?.json().catch(() => ({})) ?? {};
  const shown = body.photo ?? body.twin;
  return make('li', {},
    shown ? make('img', { src: photoAt(shown), alt: '' }) : null,
    make('span', {}, body.photo ? `${file.name} is ${body.photo}.`
      : `${file.name}: ${sentence(body.error ?? 'the studio cannot be reached')}`));
}

function figure(number, label) {
  return make('div', { class: 'figure' }, make('strong', {}, String(number)),
    make('span', {}, label));
}

function tile({ photo, standing, comment }) {
  return make('li', {},
    make('a', { href: `#/draw/${encodeURIComponent(photo)}`, class: `tile ${standing}` },
      make('img', {
        src: photoAt(photo), alt: '', loading: 'lazy',
      }),
      make('span', { class: 'name' }, photo),
      make('span', { class: 'standing', title: comment || null }, SAID[standing])));
}

function matrix(photos, designers, standing) {
  return make('div', { class: 'scroll' },
    make('table', { class: 'matrix' },
      make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, 'Photo'),
        designers.map((designer) => make('th', { scope: 'col' }, designer)))),
      make('tbody', {}, photos.map((photo, row) => make('tr', {},
        make('th', { scope: 'row' }, photo),
        standing[row].map((one) => make('td', { class: one, title: SAID[one] },
          make('span', { class: 'unseen' }, SAID[one]))))))));
}
