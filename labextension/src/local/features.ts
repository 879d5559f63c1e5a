/** The features of a prefix of a suggestion, for the gate. Pure. */

import { endOf, LINE, remembered } from './bounds';
import { closersAfter, openQuote } from './brackets';
import { codePoints, cutAt, findAll, last, LETTER, SPACE, strip, stripStart, WORD } from './text';

const NAME = new RegExp(`[${LETTER}][${WORD}]*`, 'gu');
const IN_BRACKETS = new RegExp(`[([{,][${SPACE}]*$`);
/** Python's keywords. */
export const KEYWORDS: ReadonlySet<string> = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from ' +
    'global if import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' ')
);
export const SMALLEST = 1e-4; // probabilities are taken for no smaller than this

interface ITexts {
  has(text: string): boolean;
}

/** The features of the text around the cursor. */
export class CursorFeatures {
  constructor(
    /** the line up to the cursor */
    line = '',
    /** what follows the cursor on its line */
    readonly rest = '',
    /** the names in the notebook */
    readonly words: ITexts = new Set<string>()
  ) {
    this.body = stripStart(line);
    this.indentation = line.length - this.body.length;
    this.quote = openQuote(line);
    this.closed = closersAfter(line, rest);
    this.isInBrackets = IN_BRACKETS.test(this.body);
  }

  /** The line up to the cursor without its indentation. */
  readonly body: string;
  /** The number of characters of its indentation. */
  readonly indentation: number;
  /** The quote that is open at the cursor. */
  readonly quote: string;
  /** The brackets right after the cursor, if they close all brackets that the line has opened. */
  readonly closed: string;
  /** Whether an opening bracket or a comma precedes the cursor. */
  readonly isInBrackets: boolean;
}

export type Features = Record<string, number>;

/** Compute the features of the text around the cursor. */
export function cursorFeatures(prefix: string, suffix: string, pieces: readonly string[]): CursorFeatures {
  const near = endOf(prefix, 2 ** 17);
  const above = wordsOf(pieces.join(''));
  const own = new Set(findAll(NAME, near));
  return new CursorFeatures(
    last(near.slice(near.lastIndexOf('\n') + 1), LINE),
    strip(cutAt(suffix, '\n')[0]),
    {
      has: word => KEYWORDS.has(word) || word === 'self' || own.has(word) || above.has(word)
    }
  );
}

/** The words of the cells above, which do not change while the user types. */
const wordsOf = remembered(text => new Set(findAll(NAME, text)), 2 ** 20);

/**
 * The features of a prefix.
 *
 * `sure`: the logprobs of its tokens; `whole`: it reaches the end of its line; `further`: that line is not the first.
 */
export function features(
  text: string,
  sure: readonly number[],
  cursor: CursorFeatures,
  { whole, further }: { whole: boolean; further: boolean }
): Features {
  const body = strip(text);
  return {
    sum: sumOf(sure),
    worst: Math.min(...sure),
    last: sure[sure.length - 1],
    length: codePoints(body),
    whole: Number(whole),
    unknown: findAll(NAME, body).filter(word => !cursor.words.has(word)).length,
    further: Number(further),
    column: further ? 0 : codePoints(cursor.body),
    indentation: cursor.indentation,
    'empty line': Number(!cursor.body),
    'in brackets': Number(cursor.isInBrackets)
  };
}

export function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
