/**
 * Which brackets and quotes a text leaves open, in any language. Pure.
 *
 * A quote is closed by the next of its kind; within quotes, nothing else opens or closes.
 */

import { LINE } from './text';

const QUOTES = '"\'`';
const NESTED = 32; // the maximum number of closing brackets after the cursor to check
type Pairs = ReadonlyMap<string, string>;
const SAME: [string, string][] = Array.from(QUOTES, quote => [quote, quote]);
export const CLOSERS: Pairs = new Map([['(', ')'], ['[', ']'], ['{', '}'], ...SAME]);
const OPENERS: Pairs = new Map([[')', '('], [']', '['], ['}', '{'], ...SAME]); // for scanning backwards

/** Update the pending closing brackets, the innermost last, with the next character. */
function follow(pending: string[], character: string, pairs = CLOSERS): void {
  const innermost = pending.at(-1);
  const closer = pairs.get(character);
  if (character === innermost) {
    pending.pop();
  } else if (closer !== undefined && !(innermost !== undefined && QUOTES.includes(innermost))) {
    pending.push(closer);
  }
}

/** The brackets that would close a text, the innermost last, and the quote open at its end. */
function unclosed(text: string, pairs = CLOSERS): [pending: string[], quote: string] {
  const pending: string[] = [];
  for (const character of text) {
    follow(pending, character, pairs);
  }
  const innermost = pending.at(-1) ?? '(';
  return [pending, QUOTES.includes(innermost) ? (pending.pop() ?? '') : ''];
}

/** The quote that is open at the end of a line, or ''; a line too long for code has none. */
export function openQuote(line: string, quotes = QUOTES): string {
  return line.length > LINE ? '' : unclosed(line, new Map(Array.from(quotes, quote => [quote, quote])))[1];
}

/**
 * Return for each position of a text whether it is outside all brackets and quotes that the text itself has opened.
 *
 * `quote` was open before the text; up to its end, the text counts as outside. An opening bracket is outside of
 * what it opens; an opening quote is not.
 */
export function outside(text: string, quote = ''): boolean[] {
  const pending = quote ? [quote] : [];
  let withinGiven = quote !== '';
  const places: boolean[] = [];
  for (const character of text.split('')) {
    places.push(withinGiven || !(pending.length > 0 || QUOTES.includes(character)));
    follow(pending, character);
    withinGiven &&= pending.length > 0;
  }
  return places;
}

/**
 * Return how much of a text fits before these closing brackets and quotes so that none is closed twice.
 *
 * The text may contain one that is closed after it only if it opens the same one first. `hasEscapes`: in quotes, a
 * backslash escapes the next character.
 */
export function balancedLength(text: string, closed: string, hasEscapes = false): number {
  if (!closed) {
    return text.length; // the most common case, for each token
  }
  const given = Array.from(closed).reverse();
  const pending = [...given];
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    if (hasEscapes && text[at] === '\\' && QUOTES.includes(pending.at(-1) ?? '(')) {
      at++;
    } else {
      follow(pending, text[at]);
    }
    if (given.every((bracket, depth) => pending[depth] === bracket)) {
      length = Math.min(at + 1, text.length);
    }
  }
  return length;
}

/** The closing brackets right after the cursor, if they close all brackets that the line has opened. */
export function closersAfter(line: string, after: string): string {
  const rest = after.trim();
  const closed = /^[)\]}]*/.exec(rest)?.[0].slice(0, NESTED) ?? '';
  if (!closed || line.length > LINE) {
    return '';
  }
  const [opened, quote] = unclosed(line);
  const [closing] = unclosed(Array.from(rest.slice(0, LINE)).reverse().join(''), OPENERS);
  return rest.includes(quote) && opened.length <= closing.length ? closed : '';
}
