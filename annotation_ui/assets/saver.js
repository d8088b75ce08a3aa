// Keeps what is drawn on the server, a moment after the pen rests, and here while it cannot.

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
  }

  // What was drawn here and never reached the server, if it goes on from what the server has.
  kept() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) ?? 'null');
      return kept?.revision === this.revision ? kept.drawing : null;
    } catch {
      return null;
    }
  }

  want(drawing) {
    this.wanted = drawing;
    this.since ??= performance.now();
    this.#keep();
    this.tell('saving');
    clearTimeout(this.timer);
    const waited = performance.now() - this.since;
    this.timer = setTimeout(() => this.save(), Math.min(REST_MS, Math.max(AT_MOST_MS - waited, 0)));
  }

  #keep() {
    try {
      const kept = { revision: this.revision, drawing: this.wanted };
      localStorage.setItem(this.key, JSON.stringify(kept));
    } catch {
      // Full or forbidden: then the server alone keeps it.
    }
  }

  async save() {
    clearTimeout(this.timer);
    if (this.saving) await this.saving;
    if (!this.wanted || this.outdated) return;
    this.saving = this.#send();
    await this.saving;
    this.saving = null;
  }

  async #send() {
    const drawing = this.wanted;
    try {
      const { revision } = await call('save_draft', this.photo, this.revision, drawing);
      this.revision = revision;
      if (this.wanted === drawing) {
        this.wanted = null;
        this.since = null;
        localStorage.removeItem(this.key);
        this.tell('saved');
      } else this.#keep();
    } catch (error) {
      if (error.kind === 'offline') {
        this.tell('offline');
        this.timer = setTimeout(() => this.save(), RETRY_MS);
      } else {
        this.outdated = error.kind === 'outdated';
        this.tell('refused', error.message);
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
