// The shell: who is here, which page is shown, and how one gets to the others.

import { call } from './api.js';
import { make } from './dom.js';

const PAGES = {
  draw: { label: 'Draw', of: (me) => me.draws },
  review: { label: 'Review', of: (me) => me.reviews },
  overview: { label: 'Overview', of: () => true },
  search: { label: 'Search', of: (me) => me.searches },
};

export async function start(root) {
  const host = root.querySelector('#studio') ?? root;
  let me;
  try {
    me = await call('me');
  } catch (error) {
    if (error.kind === 'signed out') location.assign('/login');
    host.replaceChildren(make('p', { class: 'empty', role: 'alert' }, error.message));
    return;
  }
  const pages = Object.entries(PAGES).filter(([, page]) => page.of(me));
  const links = pages.map(([name, { label }]) => make('a', { href: `#/${name}` }, label));
  const main = make('main', { class: 'page', id: 'page', tabindex: '-1' });
  host.replaceChildren(
    make('a', {
      class: 'skip-link', href: '#page',
      onclick: (event) => { event.preventDefault(); main.focus(); },
    }, 'Skip to the page'),
    make('header', { class: 'bar' },
      make('span', { class: 'brand' }, me.dataset),
      make('nav', { 'aria-label': 'Pages' }, links),
      make('form', { class: 'who', method: 'post', action: '/logout' },
        make('span', {}, me.designer ? `${me.name} · ${me.designer}` : me.name),
        me.alone ? null : make('button', { class: 'link' }, 'Sign out'))),
    main);

  let leave = async () => {};
  let turn = Promise.resolve();
  let shown = false;
  const show = async () => {
    const [, asked, rest] = /^#\/(\w+)\/?(.*)$/.exec(location.hash) ?? [];
    const name = pages.some(([known]) => known === asked) ? asked : pages[0][0];
    pages.forEach(([known], i) => {
      if (known === name) links[i].setAttribute('aria-current', 'page');
      else links[i].removeAttribute('aria-current');
    });
    await leave();
    main.replaceChildren();
    main.className = `page ${name}`;
    const page = await import(`./${name}.js`);
    leave = await page.show(main, me, decodeURIComponent(rest ?? '')) ?? (async () => {});
    if (shown) main.focus({ preventScroll: true });
    shown = true;
  };
  const next = () => {
    // One page after the other: the one before saves what it holds first.
    turn = turn.then(show).catch((error) => {
      main.replaceChildren(make('p', { class: 'empty', role: 'alert' }, error.message));
    });
  };
  window.addEventListener('hashchange', next);
  // A click on the page that is shown looks at it anew.
  links.forEach((link) => link.addEventListener('click', () => {
    if (link.hash === location.hash) next();
  }));
  next();
}
