// Asks the studio: one call, one answer, or one line of what cannot be done.

const TIMEOUT_MS = 20000;

export class Refused extends Error {
  constructor(message, kind = '') {
    super(message);
    this.kind = kind;
  }
}

export async function call(name, ...inputs) {
  let response;
  try {
    response = await fetch(`/gradio_api/run/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ data: inputs }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Refused('The studio cannot be reached.', 'offline');
  }
  return answered(response, (body) => body.data[0]);
}

export async function answered(response, read = (body) => body) {
  if (response.status === 401) {
    throw new Refused('Your session has ended. Sign in again in another window.', 'signed out');
  }
  const body = await response.json().catch(() => ({}));
  const answer = response.ok ? read(body) : body;
  if (!response.ok || answer.error) {
    const offline = response.status === 502 || response.status === 503;
    throw new Refused(sentence(answer.error ?? 'The studio did not answer.'),
      offline ? 'offline' : answer.kind);
  }
  return answer;
}

export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
