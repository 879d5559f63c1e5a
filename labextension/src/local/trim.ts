/**
 * Trim suggestions with four filters. Pure.
 *
 * Measured with the page's model: of the server's filters, these change the suggestions.
 */

import { balancedLength, outside } from './brackets';
import { endOfLine } from './lexer';
import { indentation, type ISurroundings } from './surroundings';
import { isBlank, LINE, WORD } from './text';

const LONGEST_PIECE = 60; // characters of a text that is repeated
const MIN_REPEATED_LENGTH = 32; // characters: `VALUES (?, ?, ?, ?, ?, ?)` is code
const CLOSERS = ')]}"\'`;,: \t\n';
const IN_WORD = new RegExp(`[${WORD}]`, 'u');
const WITHIN_WORD = new RegExp(`^[${WORD}]{2}$`, 'u');

/** The text to show, and whether more tokens cannot extend it. */
export interface ICut {
  text: string;
  done: boolean;
}

type Filter = (text: string, surroundings: ISurroundings, final: boolean) => ICut;

const whole = (text: string): ICut => ({ text, done: false });
const ended = (text: string): ICut => ({ text, done: true });

/**
 * Stop at the end of the line, which open brackets continue. If there may be several lines, stop before one that is
 * indented less, at a blank line before code without indentation, and after `maxLines`.
 */
const lines: Filter = (text, { multi, line, indent, maxLines }, final) => {
  if (!multi) {
    const end = maxLines === 1 ? text.indexOf('\n') : endOfLine(line.slice(-LINE), text);
    return end < 0 ? whole(text) : ended(text.slice(0, end));
  }
  const all = text.split('\n');
  let [at, length, count] = [0, 0, 0];
  for (const [number, each] of all.entries()) {
    if (!isBlank(each)) {
      const width = indentation(each);
      const isDedented = number > 0 && width < indent;
      const isAfterBlank = count > 0 && width === 0 && isBlank(all[number - 1]);
      if (count === maxLines || isDedented || isAfterBlank) {
        return ended(text.slice(0, length));
      }
      count++;
      length = at + each.length;
    }
    at += each.length + 1;
  }
  return whole(final ? text : text.slice(0, length)); // the indentation of the last line may be incomplete
};

/** Omit a line that is already above. Stop where the text only repeats itself, after two copies. */
const repetition: Filter = (text, { line, above }, final) => {
  const body = isBlank(line) ? text.replace(/^\n+/, '') : text;
  const begun = ((body === text ? line : '') + body.split('\n', 1)[0]).trimEnd();
  if (begun && above.some(other => other.startsWith(begun))) {
    return { text: '', done: final || body.includes('\n') }; // a longer one may differ
  }
  for (let period = 1; period <= LONGEST_PIECE; period++) {
    let start = text.length - period;
    while (start > 0 && text[start - 1] === text[start - 1 + period]) {
      start--;
    }
    const length = text.length - start;
    if (length >= Math.max(3 * period, MIN_REPEATED_LENGTH) && !isBlank(text.slice(start))) {
      return ended(text.slice(0, start + 2 * period));
    }
  }
  return whole(text);
};

/** Stop before text that repeats the rest of the line after the cursor, most often closing brackets. */
const restOfLine: Filter = (text, { rest: after, quote }, final) => {
  const rest = after.trim();
  if (!rest) {
    return whole(text);
  }
  const isOutside = outside(text, quote);
  for (let at = text.indexOf(rest); at >= 0; at = text.indexOf(rest, at + 1)) {
    if (isOutside[at] && !WITHIN_WORD.test(text.slice(Math.max(0, at - 1), at + 1))) {
      return ended(text.slice(0, at));
    }
  }
  const closing = lengthAtEnd(text, character => CLOSERS.includes(character));
  for (let length = Math.min(rest.length, text.length); length > 0; length--) {
    const sure = length === rest.length || length <= closing;
    if (text.endsWith(rest.slice(0, length)) && isOutside[text.length - length] && (!final || sure)) {
      return whole(text.slice(0, -length));
    }
  }
  return whole(text);
};

/** Stop before a closing bracket that is already closed after the cursor. */
const closedAfter: Filter = (text, { closed }) => whole(text.slice(0, balancedLength(text, closed)));

const FILTERS: readonly Filter[] = [lines, repetition, restOfLine, closedAfter];

/** The number of characters at the end of a text that pass a test. */
function lengthAtEnd(text: string, test: (character: string) => boolean): number {
  let start = text.length;
  while (start > 0 && test(text[start - 1])) {
    start--;
  }
  return text.length - start;
}

/** Run the text, without a word at its end that may be incomplete, through every filter; omit white space at the end. */
export function trim(text: string, surroundings: ISurroundings, final: boolean): ICut {
  const held = final ? 0 : lengthAtEnd(text, character => IN_WORD.test(character));
  const { text: kept, done } = FILTERS.reduce(
    (cut, keep) => {
      const next = keep(cut.text, surroundings, final || cut.done);
      return { text: next.text, done: cut.done || next.done };
    },
    whole(text.slice(0, text.length - held))
  );
  return { text: kept.trimEnd(), done };
}
