/** Limits of texts and caches, in characters. Pure. */

import { codePoints, without } from './text';

/** The maximum length of code that is scanned for open brackets. */
export const STATEMENT = 20000;
/** Longer lines are treated as data, not code. */
export const LINE = 20000;

/** Return the end of a text, cut in steps of a quarter of the limit, so that its start seldom changes as it grows. */
export function endOf(text: string, room: number): string {
  const excess = text.length > room ? codePoints(text) - room : 0;
  const step = Math.max(1, Math.floor(room / 4));
  return excess > 0 ? without(text, Math.ceil(excess / step) * step) : text;
}

/** Memoize a function of texts in an LRU cache with a limit in characters. */
export function remembered<A extends string[], R>(
  make: (...given: A) => R,
  limit: number
): (...given: A) => R {
  const known = new Map<string, R>();
  let size = 0;
  return (...given) => {
    const key = given.join('\0');
    const result = known.get(key) ?? make(...given);
    // Reinsert it as the most recently used.
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
