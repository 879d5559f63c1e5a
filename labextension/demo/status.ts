/** What the page says of the model: how far it is, what is wrong, how fast it was. */

import { describeSize } from '../src/size';
import { troubleOf } from '../src/trouble';
import type { IModel, IStep } from '../src/wire';

const RECENT = 50;

/** Say how far the model is. */
export function stepInWords({ phase, received, total }: IStep): string {
  if (phase !== 'fetching' || !total) {
    return phase === 'verifying' ? 'Verifying the model…' : 'Loading the model…';
  }
  // In tenths: each change is read out.
  const percent = Math.floor((10 * (received ?? 0)) / total) * 10;
  return `Downloading the model (${describeSize(total)}): ${percent} %…`;
}

/** Say what went wrong; an error that says so itself is taken at its word. */
export function errorInWords(reason: unknown): string {
  return troubleOf(reason).message || 'An unexpected error occurred. Reload the page.';
}

/** Say what to expect in a language of a model that knows another one best. */
export function expectationInWords(language: string, best: string): string {
  return `The model was trained mainly on ${best}. In ${language}, it suggests less, and its suggestions are less accurate or in ${best}.`;
}

export function modelInWords({ name, size, licence, use }: IModel): string {
  const facts = [size === null ? '' : describeSize(size), licence].filter(Boolean).join(', ');
  return `Model: ${name}${facts ? ` (${facts})` : ''}.${use ? ` ${use}` : ''}`;
}

/** How long suggestions took. */
export class Speed {
  /** Note one; say how fast they are. */
  note(ms: number): string {
    this._recent = [...this._recent, ms].slice(-RECENT);
    const sorted = [...this._recent].sort((one, other) => one - other);
    const median = sorted[Math.floor(sorted.length / 2)];
    return `Last keystroke: ${Math.round(ms)} ms, median: ${Math.round(median)} ms`;
  }

  private _recent: number[] = [];
}
