/** Messages about the model: progress, errors, speed. */

import { describeSize } from '../src/filesize';
import { requestErrorOf } from '../src/requesterror';
import type { IModel, IProgress } from '../src/wire';

const RECENT = 50;

/** Describe the progress of the download. */
export function stepInWords({ phase, received, total }: IProgress): string {
  if (phase !== 'downloading' || !total) {
    return phase === 'verifying' ? 'Verifying the model…' : 'Loading the model…';
  }
  // In tenths: each change is read out.
  const percent = Math.floor((10 * (received ?? 0)) / total) * 10;
  return `Downloading the model (${describeSize(total)}): ${percent} %…`;
}

/** Describe an error. */
export function errorInWords(reason: unknown): string {
  return requestErrorOf(reason).message || 'An unexpected error occurred. Reload the page.';
}

/** Describe what to expect in a language that is not the model's main language. */
export function expectationInWords(language: string, best: string): string {
  return `The model was trained mainly on ${best}. In ${language}, it suggests less, and its suggestions are less accurate or in ${best}.`;
}

export function modelInWords({ name, size, licence, use }: IModel): string {
  const facts = [size === null ? '' : describeSize(size), licence].filter(Boolean).join(', ');
  return `Model: ${name}${facts ? ` (${facts})` : ''}.${use ? ` ${use}` : ''}`;
}

/** The latency of suggestions. */
export class Speed {
  /** Record a latency; describe it and the median. */
  note(ms: number): string {
    this._recent = [...this._recent, ms].slice(-RECENT);
    const sorted = [...this._recent].sort((one, other) => one - other);
    const median = sorted[Math.floor(sorted.length / 2)];
    return `Last keystroke: ${Math.round(ms)} ms, median: ${Math.round(median)} ms`;
  }

  private _recent: number[] = [];
}
