/** Texts in code points, as the server counts them, their lines, and limits. Pure. */

import { codePoints } from '../window';

export { codePoints } from '../window';

/** The characters of words, for a character class of a regular expression. */
export const WORD = '\\p{L}\\p{N}_';
/** The maximum length of code that is scanned for open brackets. */
export const STATEMENT = 20000;
/** Longer lines are treated as data, not code. */
export const LINE = 20000;
const HIGH = /[\ud800-\udbff]/;

/** The index of a code point, in UTF-16 units. */
function unitOf(text: string, count: number): number {
  if (count <= 0 || count >= text.length || !HIGH.test(text)) {
    return Math.min(Math.max(0, count), text.length);
  }
  let at = 0;
  for (let left = count; left > 0 && at < text.length; left--) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at;
}

/** The first characters. */
export function first(text: string, count: number): string {
  return text.slice(0, unitOf(text, count));
}

/** All but the first characters. */
export function without(text: string, count: number): string {
  return text.slice(unitOf(text, count));
}

/** Whether a text contains only white space. */
export function isBlank(text: string): boolean {
  return text.trim() === '';
}

/** The text after the last line end. */
export function lastLine(text: string): string {
  return text.slice(text.lastIndexOf('\n') + 1);
}

/** Return the end of a text. The cut moves in steps of a quarter of the limit, so the start seldom changes as a text grows. */
export function endOf(text: string, limit: number): string {
  const excess = text.length > limit ? codePoints(text) - limit : 0;
  const step = Math.max(1, Math.floor(limit / 4));
  return excess > 0 ? without(text, Math.ceil(excess / step) * step) : text;
}

/** Memoize a function of texts in a cache with a limit in characters, which is cleared once it is full. */
export function remembered<A extends string[], R>(
  make: (...given: A) => R,
  limit: number
): (...given: A) => R {
  const known = new Map<string, R>();
  let size = 0;
  return (...given) => {
    const key = given.join('\0');
    const result = known.get(key) ?? make(...given);
    size += known.has(key) ? 0 : key.length;
    if (size > limit) {
      known.clear();
      size = key.length;
    }
    known.set(key, result);
    return result;
  };
}
