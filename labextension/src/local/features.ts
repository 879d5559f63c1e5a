/** The features and the score of a prefix of a suggestion, for the gate. Pure. */

import { endOf, LINE, remembered } from './bounds';
import { closersAfter, openQuote } from './brackets';
import { codePoints, cutAt, findAll, last, LETTER, SPACE, strip, stripStart, WORD } from './text';

const NAME = new RegExp(`[${LETTER}][${WORD}]*`, 'gu');
const AFTER_DOT = new RegExp(`\\.[${WORD}]*$`, 'u');
const IN_WORD = new RegExp(`[${WORD}]$`, 'u');
const IN_BRACKETS = new RegExp(`[([{,][${SPACE}]*$`);
const AFTER_EQUALS = new RegExp(`=[${SPACE}]*$`);
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
    readonly words: ITexts = new Set<string>(),
    /** its lines, without indentation */
    readonly lines: ITexts = new Set<string>()
  ) {
    this.body = stripStart(line);
    this.quote = openQuote(line);
    this.closed = closersAfter(line, rest);
    this.lineFeatures = {
      'empty line': Number(!this.body),
      'after dot': Number(AFTER_DOT.test(this.body)),
      'in word': Number(IN_WORD.test(this.body)),
      'in brackets': Number(IN_BRACKETS.test(this.body)),
      'after =': Number(AFTER_EQUALS.test(this.body)),
      'in string': Number(openQuote(this.body, '\'"') !== '')
    };
  }

  /** The line up to the cursor without its indentation. */
  readonly body: string;
  /** The quote that is open at the cursor. */
  readonly quote: string;
  /** The brackets right after the cursor, if they close all brackets that the line has opened. */
  readonly closed: string;
  /** The features of the line up to the cursor, the same for every token. */
  readonly lineFeatures: Features;
}

export type Features = Record<string, number>;

/** Compute the features of the text around the cursor. */
export function cursorFeatures(prefix: string, suffix: string, pieces: readonly string[]): CursorFeatures {
  const near = endOf(prefix, 2 ** 17);
  const above = inNotebook(pieces.join(''));
  const lines = near.split('\n');
  const line = lines.pop() ?? '';
  const own = { words: new Set(findAll(NAME, near)), lines: new Set(lines.map(text => strip(text))) };
  return new CursorFeatures(
    last(line, LINE),
    strip(cutAt(suffix, '\n')[0]),
    { has: word => KEYWORDS.has(word) || word === 'self' || own.words.has(word) || above.words.has(word) },
    { has: text => own.lines.has(text) || above.lines.has(text) }
  );
}

/** The words and lines of the cells above, which typing does not change. */
const inNotebook = remembered(
  text => ({
    words: new Set(findAll(NAME, text)),
    lines: new Set(text.split('\n').map(line => strip(line)))
  }),
  2 ** 20
);

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
  const line = cursor.body;
  const body = strip(text);
  const names = findAll(NAME, body);
  const known = names.filter(word => cursor.words.has(word)).length;
  const share = names.length > 0 ? known / names.length : 1;
  const total = sumOf(sure);
  const worst = Math.min(...sure);
  return {
    bias: 1,
    sum: total,
    odds: odds(total),
    'worst odds': odds(worst),
    worst,
    first: sure[0],
    last: sure[sure.length - 1],
    tokens: Math.log(sure.length),
    length: Math.log(1 + codePoints(body)),
    whole: Number(whole),
    'whole sum': whole ? total : 0,
    known: share,
    unknown: Math.log(1 + names.length - known),
    rest: Number(cursor.rest !== ''),
    further: Number(further),
    ...cursor.lineFeatures,
    comment: Number(line.startsWith('#') || body.startsWith('#')),
    again: Number(cursor.lines.has(further ? body : strip(line + text))),
    'known sum': total * share
  };
}

export function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The log-odds of a probability, given its logarithm. */
function odds(logarithm: number): number {
  const chance = Math.min(0.999, Math.max(SMALLEST, Math.exp(logarithm)));
  return Math.log(chance / (1 - chance));
}

/** Return the estimated probability that a prefix is correct. */
export function score(values: Features, coefficients: Readonly<Features>): number {
  return sigmoid(sumOf(Object.entries(values).map(([name, value]) => coefficients[name] * value)));
}

/** A score between 0 and 1. */
function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-Math.max(-60, Math.min(60, value))));
}
