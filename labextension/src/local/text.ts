/** Text functions with the semantics of Python's `str`: code points, white space, words, lines, limits. Pure. */

import { codePoints } from '../window';

export { codePoints } from '../window';

/** Character classes for use within brackets: Python's `\s`, `\w`, and `\w` without digits. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
export const WORD = '\\p{L}\\p{N}_';
export const LETTER = '\\p{L}\\p{Nl}\\p{No}_';
/** Line starts and ends: JavaScript's `^` and `$` support more line ends. */
export const START = '(?<![^\\n])';
export const END = '(?![^\\n])';
/** The maximum length of code that is scanned for open brackets. */
export const STATEMENT = 20000;
/** Longer lines are treated as data, not code. */
export const LINE = 20000;
const LINE_END = '\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029';

const SPACES = new RegExp(`[${SPACE}]`);
const WORD_CHARACTER = new RegExp(`[${WORD}]`, 'u');
const LINES = new RegExp(`[^${LINE_END}]*(?:\\r\\n|[${LINE_END}])|[^${LINE_END}]+`, 'g');
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

/** The last characters. */
export function last(text: string, count: number): string {
  return text.length <= count ? text : without(text, Math.max(0, codePoints(text) - count));
}

/** Whether a text has more characters than this. */
export function isLonger(text: string, count: number): boolean {
  return text.length > count && codePoints(text) > count;
}

export function stripStart(text: string, characters?: string): string {
  let at = 0;
  while (at < text.length && isOneOf(text[at], characters)) {
    at++;
  }
  return text.slice(at);
}

export function stripEnd(text: string, characters?: string): string {
  let at = text.length;
  while (at && isOneOf(text[at - 1], characters)) {
    at--;
  }
  return text.slice(0, at);
}

export function strip(text: string, characters?: string): string {
  return stripStart(stripEnd(text, characters), characters);
}

function isOneOf(character: string, characters?: string): boolean {
  if (characters !== undefined) {
    return characters.includes(character);
  }
  return !(character > ' ' && character < '\x7f') && SPACES.test(character); // most are none
}

/** Whether a text contains only white space. */
export function isBlank(text: string): boolean {
  return strip(text) === '';
}

/** The text before and after the first separator; without one, the whole text and ''. */
export function cutAt(text: string, sign: string): [before: string, sign: string, after: string] {
  const at = text.indexOf(sign);
  return at < 0 ? [text, '', ''] : [text.slice(0, at), sign, text.slice(at + sign.length)];
}

/** The text after the last line end. */
export function lastLine(text: string): string {
  return text.slice(text.lastIndexOf('\n') + 1);
}

/** All lines with any kind of line end. */
export function linesOf(text: string): string[] {
  return text.match(LINES) ?? [];
}

/** The character that ends at a position. */
export function characterBefore(text: string, end: number): string {
  const from = end - 2;
  return from >= 0 && (text.codePointAt(from) ?? 0) > 0xffff
    ? text.slice(from, end)
    : text.slice(Math.max(0, end - 1), end);
}

/** Whether a text begins with a letter, a digit or an underscore. */
export function beginsWithWord(text: string): boolean {
  return text !== '' && WORD_CHARACTER.test(String.fromCodePoint(text.codePointAt(0) ?? 0));
}

/** All matches of a pattern with the flag `g`: the first group if there is one. */
export function findAll(pattern: RegExp, text: string): string[] {
  return Array.from(text.matchAll(pattern), found => found[found.length > 1 ? 1 : 0]);
}

/** Return the end of a text. The cut moves in steps of a quarter of the limit, so the start seldom changes as a text grows. */
export function endOf(text: string, limit: number): string {
  const excess = text.length > limit ? codePoints(text) - limit : 0;
  const step = Math.max(1, Math.floor(limit / 4));
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
