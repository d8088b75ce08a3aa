// What reviewers decide: the sketch over the photo and beside it, and what the rules said.

import { call } from './api.js';
import { icon, make, photoAt, said, since } from './dom.js';

export async function show(page) {
  const { waiting } = await call('waiting');
  next(page, waiting);
  return null;
}

function next(page, waiting, told) {
  page.replaceChildren();
  if (told) page.append(make('p', { class: 'told', role: 'status', tabindex: '-1' }, told));
  page.querySelector('.told')?.focus();
  if (!waiting.length) {
    page.append(make('div', { class: 'empty' }, make('h1', {}, 'Nothing waits'),
      make('p', {}, 'Sketches that designers hand in appear here.')));
    return;
  }
  const [one, ...rest] = waiting;
  const photo = photoAt(one.photo);
  const under = make('img', { src: photo, alt: '' });
  const over = make('img', { src: one.picture, alt: '', class: 'over' });
  const slider = make('input', {
    type: 'range', min: 0, max: 100, value: 35, 'aria-label': 'How strong the photo is',
    oninput: () => { under.style.opacity = slider.value / 100; },
  });
  under.style.opacity = 0.35;
  const comment = make('textarea', {
    rows: 3, maxlength: 2000, 'aria-label': 'Comment for the designer',
    placeholder: 'What is to be changed?',
  });
  const refusal = make('p', { class: 'refusal', role: 'alert', hidden: true });
  const act = async (verb, outcome, ...inputs) => {
    buttons.forEach((button) => { button.disabled = true; });
    try {
      await call(verb, one.submission, ...inputs);
      next(page, rest, `${one.photo}_${one.designer} ${outcome}`);
    } catch (error) {
      const { waiting: now } = await call('waiting').catch(() => ({ waiting }));
      if (!now.some(({ submission }) => submission === one.submission)) {
        next(page, now, error.message);
        return;
      }
      refusal.textContent = error.message;
      refusal.hidden = false;
      buttons.forEach((button) => { button.disabled = false; });
    }
  };
  const buttons = [
    make('button', {
      class: 'button', onclick: () => act('give_back', 'was returned.', comment.value),
    }, 'Return'),
    make('button', {
      class: 'button primary', onclick: () => act('accept', 'is in the dataset.'),
    }, icon('check'), 'Accept'),
  ];
  page.append(
    make('div', { class: 'head' },
      make('h1', {}, `${one.photo}_${one.designer}`),
      make('p', { class: 'quiet' }, `version ${one.version}, ${since(one.moment)}; ${
        rest.length ? `${rest.length} more to look at` : 'the last one'}`)),
    make('div', { class: 'views' },
      make('figure', {}, make('img', { src: photo, alt: `Photo ${one.photo}` }),
        make('figcaption', {}, 'Photo')),
      make('figure', {}, make('img', { src: one.picture, alt: `Sketch of ${one.photo}` }),
        make('figcaption', {}, 'Sketch')),
      make('figure', {}, make('div', { class: 'laid' }, under, over),
        make('figcaption', {}, 'Sketch over photo', slider))),
    one.findings.length
      ? make('ul', { class: 'notes' }, one.findings.map((finding) => (
        make('li', {}, said(finding)))))
      : make('p', { class: 'quiet' }, 'The rules found nothing.'),
    refusal,
    make('div', { class: 'decide' }, comment, make('div', { class: 'row' }, buttons)));
}
