/** From a row of logits to one token and its probability. Pure. */

import type { Vocabulary } from './vocabulary';

export interface ISampling {
  /** 0: the likeliest token is taken. */
  temperature?: number;
  seed?: number;
  /** Of how many of the likeliest one is drawn, and of which share of probability. */
  topK?: number;
  topP?: number;
}

/** A token and the logarithm of its probability. */
export type Chance = readonly [id: number, logarithm: number];

const TOP_K = 40;
const TOP_P = 0.95;

/** Random numbers from 0 to 1, the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The logarithms of the probabilities. A banned token has none, nor has what is not one of `only`; the others share
 * what is left.
 */
export function logSoftmax(
  logits: ArrayLike<number>,
  banned?: number,
  only: ReadonlySet<number> | null = null
): Float64Array {
  const row = Float64Array.from(logits, (value, id) => (only && !only.has(id) ? -Infinity : value));
  if (banned !== undefined) {
    row[banned] = -Infinity;
  }
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

/** The likeliest tokens. */
export function likeliest(row: Float64Array, count: number): Chance[] {
  if (!count) {
    return [];
  }
  const ids = Array.from(row.keys()).sort((a, b) => row[b] - row[a]);
  return ids.slice(0, count).map(id => [id, row[id]] as const);
}

/** Choose a token; what is hidden is never chosen. The probability is that among all. */
export function choose(
  row: Float64Array,
  { hidden }: Pick<Vocabulary, 'hidden'>,
  { temperature = 0, topK = TOP_K, topP = TOP_P }: ISampling,
  draw: () => number
): Chance {
  if (temperature > 0) {
    return drawn(row, hidden, temperature, topK || row.length, topP, draw);
  }
  let best = -1;
  for (let id = 0; id < row.length; id++) {
    if (!hidden.has(id) && (best < 0 || row[id] > row[best])) {
      best = id;
    }
  }
  return [best, row[best]];
}

/** Cut to the likeliest, then to a share of probability, then draw at the temperature: llama.cpp's order. */
function drawn(
  row: Float64Array,
  hidden: ReadonlySet<number>,
  temperature: number,
  topK: number,
  topP: number,
  draw: () => number
): Chance {
  const ranked = likeliest(row, row.length).filter(([id]) => !hidden.has(id));
  const kept = ranked.slice(0, topK);
  const all = kept.reduce((sum, [, logarithm]) => sum + Math.exp(logarithm), 0);
  let share = 0;
  let count = 0;
  while (count < kept.length && (count === 0 || share < topP * all)) {
    share += Math.exp(kept[count++][1]);
  }
  const heat = Math.max(temperature, 1e-5);
  const weights = kept.slice(0, count).map(([, logarithm]) => Math.exp((logarithm - kept[0][1]) / heat));
  let left = draw() * weights.reduce((a, b) => a + b, 0);
  const at = weights.findIndex(weight => (left -= weight) < 0);
  return kept[at < 0 ? 0 : at];
}
