// Keeps what is drawn on the server, a moment after the pen rests, and here while it cannot.
//
// A save goes on from a revision and has a name of its own: sent again because its answer was lost,
// it changes nothing. What another window has changed meanwhile is never overwritten unasked, and
// what was drawn here is kept until it is saved or let go.

import { call } from './api.js';

const REST_MS = 800;
const AT_MOST_MS = 4000;
const RETRY_MS = 3000;

export class Saver {
  constructor(owner, photo, revision, tell) {
    this.key = `clothes-studio/${owner}/${photo}`;
    this.photo = photo;
    this.revision = revision;
    this.tell = tell;
    this.wanted = null;
    this.saving = null;
    this.since = null;
    this.outdated = false;
  }

  // What was drawn here and never reached the server: { drawing, fits }; it fits where it goes on
  // from what the server has.
  kept() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) ?? 'null');
      return kept && { drawing: kept.drawing, fits: kept.revision === this.revision };
    } catch {
      return null;
    }
  }

  want(drawing) {
    this.wanted = { drawing, save: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` };
    this.since ??= performance.now();
    this.#keep();
    if (this.outdated) return;
    this.tell('saving');
    clearTimeout(this.timer);
    const waited = performance.now() - this.since;
    this.timer = setTimeout(() => this.save(), Math.min(REST_MS, Math.max(AT_MOST_MS - waited, 0)));
  }

  #keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify({ revision: this.revision, ...this.wanted }));
    } catch {
      // Full or forbidden: then the server alone keeps it.
    }
  }

  forget() {
    localStorage.removeItem(this.key);
  }

  // Go on from what the server has now, whatever was drawn there.
  async takeOver() {
    this.revision = (await call('drawing', this.photo)).revision;
    this.outdated = false;
    await this.save();
  }

  async save() {
    clearTimeout(this.timer);
    while (this.saving) await this.saving;
    if (!this.wanted || this.outdated) return;
    this.saving = this.#send();
    await this.saving;
    this.saving = null;
  }

  async #send() {
    // Once sent, a save is sent again as it was, until it is known whether it arrived.
    const sent = this.unsure ?? this.wanted;
    this.unsure = sent;
    try {
      const { revision } = await call(
        'save_draft', this.photo, this.revision, JSON.stringify(sent.drawing), sent.save);
      this.unsure = null;
      this.revision = revision;
      if (this.wanted === sent) {
        this.wanted = null;
        this.since = null;
        this.forget();
        this.tell('saved');
      } else {
        this.#keep();
        this.timer = setTimeout(() => this.save(), 0);
      }
    } catch (error) {
      if (error.kind === 'offline' || error.kind === 'signed out') {
        this.tell(error.kind);
        this.timer = setTimeout(() => this.save(), RETRY_MS);
      } else {
        this.unsure = null;
        this.outdated = error.kind === 'outdated';
        this.tell(error.kind === 'outdated' ? 'outdated' : 'refused', error.message);
      }
    }
  }

  get pending() {
    return this.wanted !== null;
  }

  close() {
    clearTimeout(this.timer);
    return this.save();
  }
}
