/** Token generation with speculative drafts; yields to the message loop between batches. */

import type { IEngineRequest, IToken } from '../engineinterface';
import type { Engine } from './engine';

/** The maximum number of draft tokens in a batch: evaluating wrong ones costs time. */
const DRAFT = 7;

/**
 * Generate a text. Between batches, it awaits `pause` so that the thread handles messages and can abort the generation.
 */
export async function* write(
  engine: Engine,
  { prompt, draft, maxTokens, banned }: IEngineRequest,
  pause: () => Promise<void>,
  signal: AbortSignal
): AsyncGenerator<IToken> {
  const { vocabulary } = engine;
  const text = [...prompt];
  const most = Math.min(maxTokens, engine.contextSize - text.length);
  let written = 0;
  let isDraftRight = true;
  let ended = false;

  /** Sample after the text and after the draft tokens that were right. */
  const follow = (guess: readonly number[]): IToken[] => {
    const tokens: IToken[] = [];
    for (let at = 0; at <= engine.guessed && !ended; at++) {
      const row = logSoftmax(engine.logits(at), written === 0 ? banned : null);
      const token = likeliest(row, vocabulary.hidden);
      if (vocabulary.ends.has(token)) {
        ended = true;
        break;
      }
      text.push(token);
      tokens.push({ token, probability: Math.exp(row[token]) });
      isDraftRight &&= draft[written] === token;
      ended = ++written >= most;
      if (token !== guess[at]) {
        break;
      }
    }
    return tokens;
  };

  while (!ended) {
    signal.throwIfAborted();
    const room = Math.min(DRAFT, most - written - 1);
    const guess = isDraftRight && room > 0 ? draft.slice(written, written + room) : [];
    const left = engine.read(text, guess);
    ended = left === 0 && most <= 0;
    const tokens = left > 0 || ended ? [] : follow(guess);
    await pause();
    for (const token of tokens) {
      signal.throwIfAborted();
      yield token;
    }
  }
}

/**
 * Return a function that returns to the message loop, so that the worker handles pending messages, and continues at once.
 * Browsers delay timers, but not messages.
 */
export function pauses(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise(resolve => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}

/** The log-probabilities, normalized without the banned token, whose is -Infinity. */
export function logSoftmax(logits: ArrayLike<number>, banned: number | null = null): Float64Array {
  const row = Float64Array.from(logits, (value, id) => (id === banned ? -Infinity : value));
  let peak = -Infinity;
  for (const value of row) {
    peak = Math.max(peak, value);
  }
  let sum = 0;
  for (const value of row) {
    sum += Math.exp(value - peak);
  }
  const mass = peak + Math.log(sum);
  return row.map(value => value - mass);
}

/** The likeliest token that is not hidden. */
export function likeliest(row: Float64Array, hidden: ReadonlySet<number>): number {
  let best = -1;
  for (let id = 0; id < row.length; id++) {
    if (!hidden.has(id) && (best < 0 || row[id] > row[best])) {
      best = id;
    }
  }
  return best;
}
