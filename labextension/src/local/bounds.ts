/** Bounds on what is looked at and on what is remembered, in characters. Pure. */

import { codePoints, without } from './text';

/** Characters of code that a parser is given at once. */
export const STATEMENT = 20000;
/** A longer line is data, not code. */
export const LINE = 20000;

/** The end of a text, cut in steps of a quarter of the room: its start seldom moves as it grows. */
export function endOf(text: string, room: number): string {
  const excess = text.length > room ? codePoints(text) - room : 0;
  const step = Math.max(1, Math.floor(room / 4));
  return excess > 0 ? without(text, Math.ceil(excess / step) * step) : text;
}

/** Remember what a function made of texts, the least recently used out first, bounded in characters. */
export function remembered<A extends string[], R>(
  make: (...given: A) => R,
  limit: number
): (...given: A) => R {
  const known = new Map<string, R>();
  let size = 0;
  return (...given) => {
    const key = given.join('\0');
    const result = known.get(key) ?? make(...given);
    // Once more, so that it stands last.
    size += known.delete(key) ? 0 : key.length;
    known.set(key, result);
    for (const oldest of known.keys()) {
      if (size <= limit) {
        break;
      }
      known.delete(oldest);
      size -= oldest.length;
    }
    return result;
  };
}
