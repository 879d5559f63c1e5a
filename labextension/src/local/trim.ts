/**
 * Trim suggestions: a pipeline of small filters over the text so far. Pure.
 *
 * Every filter keeps a prefix of its text, and never keeps less of a longer text. So shown text stays shown: each
 * frame is a prefix of the next. A filter holds back text that it cannot judge yet, until it can or until the
 * answer is final.
 */

import { balancedLength, outside } from './brackets';
import { endOfLine } from './lexer';
import { indentation, type ISurroundings } from './surroundings';
import {
  beginsWithWord,
  characterBefore,
  codePoints,
  cutAt,
  first,
  isBlank,
  last,
  LINE,
  SPACE,
  strip,
  stripEnd,
  stripStart,
  WORD
} from './text';

const CLOSERS = ')]}"\'`;,:';
const MIN_REPEATED = 3;
const LONGEST_PIECE = 60; // characters of a text that is repeated within a line or a few lines
const MIN_REPEATED_LENGTH = 32; // characters: `VALUES (?, ?, ?, ?, ?, ?)` is code
const BETWEEN_WORDS = new RegExp(`([^${WORD}]+)`, 'u');
const NAMED = new RegExp(`[${SPACE}]`); // a second word, in a line without space around it
const BEGINS_WITH_LETTER = /^\p{L}/u;
/** The beginning of a line that is not repeated, unlike brackets and `#endif`. */
const NOT_REPEATED = new RegExp(`^[${SPACE}]*(?:#(?!endif)[# '!|]*)?[${WORD}]`, 'u');
const OPERATORS = ['and', 'or', 'not', 'is', 'in', 'left', 'right', 'inner', 'outer', 'full', 'cross']; // code repeats them

/** The text to show, and whether more tokens cannot extend it. */
export interface ICut {
  text: string;
  done: boolean;
}

type Filter = (text: string, surroundings: ISurroundings, final: boolean) => ICut;

const whole = (text: string): ICut => ({ text, done: false });
const ended = (text: string): ICut => ({ text, done: true });

/** Hold back a word that may be incomplete. */
const unfinishedWord: Filter = (text, _, final) => {
  let end = text.length;
  for (let word = ''; !final && end && beginsWithWord((word = characterBefore(text, end)));) {
    end -= word.length;
  }
  return whole(text.slice(0, end));
};

/** Stop at the end of the line, unless there may be several lines. Open brackets continue it. */
const wholeLine: Filter = (text, { multi, line, maxLines }) => {
  if (multi) {
    return whole(text);
  }
  const end = maxLines === 1 ? text.indexOf('\n') : endOfLine(last(line, LINE), text);
  return end < 0 ? whole(text) : { text: text.slice(0, end), done: true };
};

/** Stop before a line that is indented less, and at a blank line after code without indentation. */
const dedent: Filter = (text, { indent }, final) => {
  const lines = text.split('\n');
  let length = lines[0].length;
  let at = length;
  let started = !isBlank(lines[0]);
  let blankBefore = false;
  for (let number = 1; number < lines.length; number++) {
    const line = lines[number];
    const isLast = number === lines.length - 1;
    at += 1 + line.length;
    if (isBlank(line)) {
      if (isLast && !final) {
        break; // its indentation is not complete yet
      }
      blankBefore ||= started && !isLast;
      continue;
    }
    const left = indentation(line);
    if (left < indent || (blankBefore && started && left === 0)) {
      return ended(text.slice(0, length));
    }
    started = true;
    blankBefore = false;
    length = at;
  }
  return whole(final ? text : text.slice(0, length));
};

/** Stop after `maxLines` lines, not counting blank ones at the beginning. */
const lineLimit: Filter = (text, { maxLines }) => {
  const body = stripStart(text, '\n');
  const lines = body.split('\n');
  const lead = text.slice(0, text.length - body.length);
  return lines.length <= maxLines ? whole(text) : ended(lead + lines.slice(0, maxLines).join('\n'));
};

/** Omit an answer that makes the line equal to the one above. */
const lineAboveAgain: Filter = (text, surroundings, final) => {
  const above = stripEnd(surroundings.above);
  const body = isBlank(surroundings.line) ? stripStart(text, '\n') : text;
  const begun = body === text ? surroundings.line : ''; // later lines have no typed part
  const [written, newline] = cutAt(body, '\n');
  const line = stripEnd(begun + written); // with its indentation, because a line in another block differs
  if (!NOT_REPEATED.test(above) || !above.startsWith(line)) {
    return whole(text);
  }
  if (!newline && !final) {
    return whole('');
  }
  const again = line === above || stripEnd(begun + written + surroundings.rest) === above;
  // The user may repeat a line on purpose.
  return again && !isBlank(written) ? ended('') : whole(text);
};

/** Stop before a line that repeats the next line below the cursor. */
const nextLineAgain: Filter = (text, { nextLine }, final) => {
  const wanted = strip(nextLine);
  let at = 0;
  for (const line of wanted ? text.split('\n') : []) {
    const isLast = at + line.length === text.length;
    const words = strip(line);
    if (at && words) {
      if (words === wanted && (!isLast || final)) {
        return ended(text.slice(0, at - 1));
      }
      if (isLast && !final && wanted.startsWith(words)) {
        return whole(text.slice(0, at - 1));
      }
    }
    at += line.length + 1;
  }
  return whole(text);
};

/** Stop before an import that the code above contains, unless the user has started to type the module name. */
const importAgain: Filter = (text, { line: begun, imports }, final) => {
  const above = `\n${imports}\n`;
  const lines = imports ? (begun + text).split('\n') : [];
  let at = -begun.length;
  for (const [number, line] of lines.entries()) {
    const complete = final || number < lines.length - 1;
    const statement = stripEnd(line);
    // The names of a parenthesised import are on the next lines.
    const continues = complete && /[(\\]$/.test(statement);
    if (statement && !continues && (number > 0 || !NAMED.test(strip(begun)))) {
      // `import numpy` is the beginning of `import numpy as np`.
      const ends = complete ? ['\n', ' ', ','] : [''];
      if (ends.some(end => above.includes(`\n${statement}${end}`))) {
        return { text: text.slice(0, Math.max(0, at - 1)), done: complete };
      }
    }
    at += line.length + 1;
  }
  return whole(text);
};

/** Stop before two words that also occur two or three words earlier: "all results are all results". */
const echo: Filter = (text, { line }, final) => {
  const typed = last(line, 2 * LONGEST_PIECE);
  const parts = (typed + text).split(BETWEEN_WORDS);
  let at = -typed.length;
  for (let number = 0; number < parts.length - 2; number += 2) {
    const [word, space, following] = parts.slice(number, number + 3);
    for (const back of [4, 6]) {
      const repeats =
        at >= 0 && BEGINS_WITH_LETTER.test(word) && word === parts[number - back] && !isOperator(word);
      if (repeats && hasSpaces(parts.slice(number - back, number + 2))) {
        if (following === parts[number - back + 2]) {
          return ended(text.slice(0, at));
        }
        if (!following && !final) {
          return whole(text.slice(0, at));
        }
      }
    }
    at += word.length + space.length;
  }
  return whole(text);
};

const isOperator = (word: string) => OPERATORS.includes(word.toLowerCase());

/** Whether words are separated by single spaces. */
const hasSpaces = (parts: readonly string[]) => parts.every((part, at) => at % 2 === 0 || part === ' ');

/** Stop before the third of three equal lines. */
const repetition: Filter = (text, _, final) => {
  const lines = text.split('\n');
  let at = 0;
  for (const [number, line] of lines.entries()) {
    const earlier = lines.slice(Math.max(0, number - MIN_REPEATED + 1), number);
    if (
      earlier.length === MIN_REPEATED - 1 &&
      !isBlank(earlier[0]) &&
      earlier.every(other => other === earlier[0])
    ) {
      const isLast = number === lines.length - 1;
      if (line === earlier[0] && (!isLast || final)) {
        return ended(text.slice(0, at - 1));
      }
      if (isLast && !final && earlier[0].startsWith(line)) {
        return whole(text.slice(0, at - 1));
      }
    }
    at += line.length + 1;
  }
  return whole(text);
};

/**
 * Stop where the end of the text only repeats itself: before a third copy, or a second copy of punctuation.
 * At least one copy must be generated, and no word is split: half of a number is another number.
 */
const loop: Filter = (text, { line }, final) => {
  const typed = last(line, 2 * LONGEST_PIECE);
  const written = Array.from(typed + text);
  const begin = codePoints(typed);
  const sure: number[] = [];
  const possible = [written.length];
  const blank = written.length - codePoints(stripEnd(typed + text)); // any code repeats blank pieces
  const runs: [piece: number, run: number][] = [];
  for (let period = blank + 1; period <= Math.min(LONGEST_PIECE, written.length - 1); period++) {
    // Several copies of a shorter piece were found already.
    if (runs.some(([piece, run]) => period % piece === 0 && run >= piece + period)) {
      continue;
    }
    const start = startOfRun(written, period);
    const kept = start + (period === 1 ? period : 2 * period);
    if (kept < written.length) {
      runs.push([period, written.length - start]);
      const isLong = written.length - start >= Math.max(MIN_REPEATED * period, MIN_REPEATED_LENGTH);
      (isLong && written.length - begin >= period ? sure : possible).push(kept);
    }
  }
  if (final && sure.length === 0) {
    return whole(text);
  }
  let end = Math.max(begin, Math.min(...(sure.length > 0 ? sure : possible)));
  while (
    end > begin &&
    end < written.length &&
    beginsWithWord(written[end - 1]) &&
    beginsWithWord(written[end])
  ) {
    end--;
  }
  return { text: first(text, end - begin), done: sure.length > 0 };
};

/** The start of the text's end that repeats with this period. */
function startOfRun(text: readonly string[], period: number): number {
  let at = text.length - period;
  while (at > 0 && text[at - 1] === text[at - 1 + period]) {
    at--;
  }
  return at;
}

/** Stop before text that repeats the rest of the line after the cursor, most often closing brackets. */
const restOfLine: Filter = (text, { rest: after, quote }, final) => {
  const rest = strip(after);
  if (!rest) {
    return whole(text);
  }
  const isOutside = outside(text, quote);
  for (let at = text.indexOf(rest); at >= 0; at = text.indexOf(rest, at + 1)) {
    const insideWord = at > 0 && beginsWithWord(characterBefore(text, at)) && beginsWithWord(rest);
    if (isOutside[at] && !insideWord) {
      return ended(text.slice(0, at));
    }
  }
  const closing = closersAtTheEnd(text);
  for (let length = Math.min(rest.length, text.length); length > 0; length--) {
    const sure = length === rest.length || length <= closing;
    if (text.endsWith(rest.slice(0, length)) && isOutside[text.length - length] && (!final || sure)) {
      return whole(text.slice(0, -length));
    }
  }
  return whole(text);
};

function closersAtTheEnd(text: string): number {
  let start = text.length;
  while (start && (CLOSERS.includes(text[start - 1]) || isBlank(text[start - 1]))) {
    start--;
  }
  return text.length - start;
}

/** Stop before a closing bracket that is already closed after the cursor. */
const closedAfter: Filter = (text, { closed }) => whole(text.slice(0, balancedLength(text, closed)));

/** Omit white space at the end. */
const trailingSpace: Filter = text => whole(stripEnd(text));

const FILTERS: readonly Filter[] = [
  unfinishedWord,
  wholeLine,
  dedent,
  lineLimit,
  lineAboveAgain,
  nextLineAgain,
  importAgain,
  repetition,
  echo,
  loop,
  restOfLine,
  closedAfter,
  trailingSpace
];

/** Run the text through every filter. */
export function trim(text: string, surroundings: ISurroundings, final: boolean): ICut {
  return FILTERS.reduce((cut, keep) => {
    const kept = keep(cut.text, surroundings, final || cut.done);
    return { text: kept.text, done: cut.done || kept.done };
  }, whole(text));
}
