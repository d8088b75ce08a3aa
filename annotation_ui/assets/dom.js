// Makes elements, icons among them.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  return fill(element, children);
}

export function fill(element, ...children) {
  element.append(...children.flat(Infinity).filter((child) => child != null));
  return element;
}

export const photoAt = (stem) => `/studio/photo/${encodeURIComponent(stem)}`;

// What a rule or a reviewer has to say, as a sentence with what to do.
export function said({ message, hint }) {
  const told = `${message.charAt(0).toUpperCase()}${message.slice(1)}`;
  return hint ? `${told}: ${hint}` : told;
}

// Shows a dialog, and resolves to what it was left with.
export async function asked(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((done) => { dialog.addEventListener('close', done, { once: true }); });
  dialog.remove();
  return dialog.returnValue;
}

const PATHS = {
  pen: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  eraser: 'M9 20h11M5 15l8-9 6 5-8 9H8z',
  cut: 'M4 14c4-8 9 6 16-4M8 7l8 12M16 7L8 19',
  undo: 'M9 6L4 11l5 5M4 11h10a6 6 0 0 1 0 8h-3',
  redo: 'M15 6l5 5-5 5M20 11H10a6 6 0 0 0 0 8h3',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  fit: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  mirror: 'M12 3v18M9 7L4 17h5zM15 7l5 10h-5z',
  photo: 'M4 5h16v14H4zM4 16l5-5 4 4 3-2 4 3M15 9h.1',
  clear: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  pressure: 'M4 18c5 0 7-3 9-6s4-5 7-5M4 18c6 1 9-1 11-4s3-5 5-5',
  upload: 'M12 16V5M7 10l5-5 5 5M5 19h14',
  download: 'M12 5v11M7 11l5 5 5-5M5 19h14',
  check: 'M5 12l5 5L20 6',
};

export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

export function tool(name, label, key, act, attributes = {}) {
  const title = key ? `${label} (${key})` : label;
  const shortcut = key ? key.replace('Ctrl', 'Control').replaceAll(' ', '+') : null;
  return make('button', {
    type: 'button', class: 'tool', title, 'aria-label': label, 'aria-keyshortcuts': shortcut,
    onclick: act, ...attributes,
  }, icon(name));
}

export async function confirmed(question, yes) {
  const dialog = make('dialog', { class: 'ask', 'aria-label': question },
    make('form', { method: 'dialog' },
      make('p', {}, question),
      make('div', { class: 'row end' },
        make('button', { class: 'button', value: 'no' }, 'Cancel'),
        make('button', { class: 'button primary', value: 'yes' }, yes))));
  return await asked(dialog) === 'yes';
}

export function since(seconds) {
  const minutes = Math.round((Date.now() / 1000 - seconds) / 60);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 36 * 60) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 1440)} days ago`;
}
