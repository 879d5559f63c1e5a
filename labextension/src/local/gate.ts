/**
 * Decide how much of a suggestion is shown, by the estimated probability that each prefix is correct. Pure.
 *
 * An answer may be shown up to a boundary: the end of a word, an argument or a line. The score of a boundary is
 * computed from the features there by decision trees. Of the boundaries whose score reaches the setting's threshold,
 * the gate chooses the one that saves most keystrokes, less the time of reading the suggestion.
 */

import type { IFrame, IRequest } from '../wire';
import { balancedLength, closingLength } from './brackets';
import { type CursorFeatures, features, type Features, SMALLEST, sumOf } from './features';
import { DEFAULT, FITS } from './fits';
import { CLOSERS, endOfLine, scan } from './lexer';
import {
  beginsWithWord,
  characterBefore,
  codePoints,
  cutAt,
  isBlank,
  last,
  strip,
  stripEnd,
  WORD
} from './text';
import type { ITrees } from './trees';

const READING = 4; // keystrokes that take as long as reading a suggestion
const QUOTES = `'"`;
const NUMBER = '0123456789_'; // the characters of integers
const TRIED = 128; // the maximum number of boundaries of a line to check, because each check parses the text
/**
 * The probability of brackets and quotes that a suggestion closes at its end. It is that of the likeliest token: often
 * several tokens begin with them, such as `)`, `):` and `))`.
 */
const CLOSED = 0.3;
const OPENED = new Map([...CLOSERS].map(([opened, closed]) => [closed, opened]));
/** Signs and words of Python that need an operand. */
const NEEDY_SIGNS = '=+-*/%&|^~<>@,!:';
const NEEDY_WORDS = new Set(
  (
    'and as assert async await class def del elif else except finally for from global if import in is lambda nonlocal ' +
    'not or raise return try while with yield'
  ).split(' ')
);
const LONGEST_WORD = 32;
const LAST_WORD = new RegExp(`(?:^|[^${WORD}])([a-z]+)$`, 'u');
const FORGIVEN = 0.8; // below this share of the threshold, the rest of an answer is not generated

/** A position where an answer may end, and the score of the text up to there. */
export interface IBoundary {
  end: number;
  score: number;
  /** how many lines with text end before it */
  line: number;
  /** whether the line is finished there */
  whole: boolean;
}

/** Whether a text may end here: not within a word, a number or quotes, and not after a dot. */
export function mayEnd(text: string, following: string): boolean {
  const end = text.charAt(text.length - 1);
  if (!strip(text, `${QUOTES} \t\n`) || ' \t.'.includes(end)) {
    return false;
  }
  return !(
    (QUOTES.includes(end) && following.startsWith(end)) ||
    (beginsWithWord(characterBefore(text, text.length)) && beginsWithWord(following)) ||
    (following.startsWith('.') && endsWithNumber(text))
  );
}

/** Whether a line of Python ends with a sign or a word that needs an operand. */
function needsMore(line: string): boolean {
  return (
    (line !== '' && NEEDY_SIGNS.includes(line.charAt(line.length - 1))) ||
    NEEDY_WORDS.has(LAST_WORD.exec(last(line, LONGEST_WORD))?.[1] ?? '')
  );
}

/** A short line that leaves the same brackets and quote or comment open. */
function openingOf(line: string): string {
  const { brackets, quote, comment } = scan(line);
  const opened = [...brackets].reverse().map(bracket => OPENED.get(bracket) ?? '');
  return `${opened.join('')}${quote}${comment ? '#' : ''}`;
}

/** The keystrokes that a suggestion saves on average, less the time of reading it. */
function expectedGain(probability: number, text: string): number {
  return probability * (codePoints(strip(text)) - 1) - READING;
}

function endsWithNumber(text: string): boolean {
  let start = text.length;
  while (NUMBER.includes(text.charAt(start - 1) || ' ')) {
    start -= 1;
  }
  return start < text.length && !beginsWithWord(characterBefore(text, start));
}

/** Scores an answer token by token, and determines how much of it may be shown. */
export class Gate {
  /**
   * `fits`: whether the cell could still become a valid program with a text; `rate`: the score of a prefix; `isPython`:
   * only in Python is it known which apostrophes are quotes, and what may stay open.
   */
  constructor(
    private readonly _cursor: CursorFeatures,
    private readonly _threshold: number,
    readonly fits: (text: string) => boolean,
    private readonly _rate: (values: Features) => number,
    private readonly _isPython = true
  ) {
    this._opening = openingOf(_cursor.body);
  }

  /** Process the next token. */
  add(piece: string, probability: number): void {
    const [head, newline, rest] = cutAt(piece, '\n');
    const written = this._written() + head;
    const begun = this._line ? '' : this._opening;
    const ends = newline !== '' && !isBlank(written) && endOfLine(begun, `${written}\n`) >= 0;
    if (this._sure.length > 0 && !(ends && !head) && mayEnd(this._text, piece)) {
      this._note(false);
    }
    this._sure.push(Math.log(Math.max(SMALLEST, probability)));
    this._tokens.push([this._text.length, probability]);
    if (!ends) {
      this._text += piece;
      return;
    }
    // The probability of the token that ends the line is the probability that the line ends here.
    this._text += head;
    this._note(true);
    this._text += newline + rest;
    this._sure = [];
    this._start = this._text.length - rest.length;
    this._line++;
  }

  /** Treat the end of the text as the end of its last line. */
  end(): void {
    if (this._sure.length > 0) {
      this._note(true);
    }
  }

  /** Whether no continuation could be shown. */
  get hopeless(): boolean {
    if (!this._threshold) {
      return false;
    }
    // No line is shown after one that is not shown whole. Each further token lowers the probability of the line.
    return (
      this._open < this._line ||
      (this._sure.length > 0 && sumOf(this._sure) < Math.log(this._threshold * FORGIVEN))
    );
  }

  /** The reason to show nothing: the scores are too low, the text is too short, or it does not fit. */
  get hiddenReason(): NonNullable<IFrame['hidden_reason']> {
    const passing = this._boundaries.filter(({ score }) => score >= this._threshold);
    const isLong = passing.some(({ end, score }) => expectedGain(score, this._text.slice(0, end)) >= 0);
    return passing.length === 0 ? 'unsure' : isLong ? 'invalid' : 'short';
  }

  /**
   * Return how much of the trimmed text is worth reading, and its score; further lines only whole. Without a threshold,
   * all of the final text is shown.
   */
  shown(text: string, final = true): [end: number, confidence: number] {
    let end = 0;
    let confidence = 0;
    for (let line = 0; ; line++) {
      const found = this._best(text, line, end, final && !this._threshold);
      if (!found) {
        return [end, confidence];
      }
      end = found.end;
      confidence = line ? Math.min(found.score, confidence) : found.score;
      if (!found.whole) {
        return [end, confidence];
      }
    }
  }

  /** The end after the brackets and quotes that probably close the line directly after `end`. */
  private _withClosers(line: string, text: string, end: number): number {
    for (let length = closingLength(line, text.slice(end)); length > 0; length--) {
      const closed = text.slice(0, end + length);
      const probability = this._tokens
        .filter(([at], number) => at < closed.length && (this._tokens.at(number + 1)?.[0] ?? Infinity) > end)
        .reduce((product, [, one]) => product * one, 1);
      if (probability >= CLOSED && this._mayStand(closed)) {
        return closed.length;
      }
    }
    return end;
  }

  /** Return the boundary of a line with the greatest gain; its end includes the brackets that close after it. */
  private _best(text: string, line: number, start: number, everything: boolean): IBoundary | undefined {
    const gain = ({ end, score }: IBoundary) =>
      everything ? 0 : expectedGain(score, text.slice(start, end));
    const passing = this._boundaries
      .filter(
        boundary =>
          boundary.line === line &&
          boundary.score >= this._threshold &&
          (boundary.whole || !line) &&
          Math.min(boundary.end, text.length) > start
      )
      .map(boundary => ({ boundary, gain: gain(boundary) }))
      // Further lines are shown only after a whole one.
      .sort(
        ({ boundary: one, gain: saved }, { boundary: other, gain: better }) =>
          better - saved || other.end - one.end || Number(other.whole) - Number(one.whole)
      );
    for (const { boundary, gain: saved } of passing.slice(0, TRIED)) {
      if (saved < 0) {
        break;
      }
      if (this._mayStand(text.slice(0, boundary.end))) {
        const begun = line ? '' : this._opening;
        const least = Math.min(boundary.end, text.length);
        const end = this._withClosers(begun + text.slice(start, least), text, least);
        // Text after the cursor may close the brackets; `fits` checks this.
        if (everything || !this._isPython || this._cursor.rest !== '') {
          return { ...boundary, end };
        }
        const { brackets, quote, comment } = scan(begun + text.slice(start, end));
        const isCut = !(boundary.whole || comment) && needsMore(this._cursor.body + text.slice(0, end));
        if (!(brackets || quote || isCut)) {
          return { ...boundary, end };
        }
      }
    }
    return undefined;
  }

  private _mayStand(text: string): boolean {
    return balancedLength(text, this._cursor.closed) === text.length && this.fits(text);
  }

  private _note(whole: boolean): void {
    const text = this._written();
    if (isBlank(text)) {
      return;
    }
    const values = features(text, this._sure, this._cursor, { whole, further: this._line > 0 });
    const value = this._rate(values);
    this._boundaries.push({ end: stripEnd(this._text).length, score: value, line: this._line, whole });
    this._open += Number(whole && value >= this._threshold && this._open === this._line);
  }

  /** The generated part of the line. */
  private _written(): string {
    return this._text.slice(this._start);
  }

  /** A substitute for the line up to the cursor, which may be long and is scanned with each text. */
  private readonly _opening: string;
  private _text = '';
  private readonly _boundaries: IBoundary[] = [];
  private readonly _tokens: [start: number, probability: number][] = [];
  private _sure: number[] = []; // the logprobs of the current line
  private _start = 0; // the offset of that line in the text
  private _line = 0;
  private _open = 0; // how many finished lines pass as a whole, from the first on
}

export type Eagerness = NonNullable<IRequest['eagerness']>;

/** Decision trees, and thresholds by eagerness. */
export interface IFit {
  trees: ITrees;
  thresholds: Readonly<Record<Eagerness, number>>;
}

/** Return the fit for a model; missing values are those of the default model. */
export function fitFor(model: string): IFit {
  return { ...(FITS[DEFAULT] as IFit), ...FITS[model] };
}
