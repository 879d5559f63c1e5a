/** The text of one suggestion while its tokens arrive; the shown text only grows. Pure. */

import type { IFrame } from '../wire';
import type { ISurroundings } from './surroundings';
import { isBlank, WORD } from './text';
import { type ICut, trim } from './trim';

/** A token of an answer: its text, as far as it belongs to the answer. */
export interface IPiece {
  token: number;
  text: string;
  probability: number;
}

const MIN_LENGTH = 6; // characters of an automatic suggestion, unless all are shown: fewer are not worth reading
/** Two characters between which no suggestion ends: after white space or a dot, within a word or a number. */
const INSEPARABLE = new RegExp(`^(?:\\s|[${WORD}.][${WORD}]|\\p{Nd}\\.)`, 'u');

/**
 * A suggestion that is trimmed.
 *
 * An automatic one is shown once: the text up to the end of the statement, as far as it is probable enough as a whole,
 * and closes the brackets and quotes of its line.
 */
export class TrimmedText {
  constructor(
    private readonly _surroundings: ISurroundings,
    /** whether the brackets and quotes of the line close with a text */
    private readonly _closes: (text: string) => boolean,
    /** the lowest probability of an automatic suggestion; null: it was requested explicitly */
    private readonly _threshold: number | null
  ) {
    // Some models repeat the indentation of the line.
    this._dropsIndentation = _surroundings.indented;
  }

  readonly pieces: IPiece[] = [];
  shown = '';
  /** The probability of the shown text. */
  confidence = 1;

  /** Whether further tokens cannot change the result. */
  get done(): boolean {
    return this._cut.done || !this._isProbable;
  }

  /** Process tokens until the answer is done; return whether there is more to show. */
  take(pieces: Iterable<IPiece>): boolean {
    let grown = false;
    for (const { token, text: written, probability } of pieces) {
      const text = this._text || !this._dropsIndentation ? written : written.replace(/^[ \t]+/, '');
      this.pieces.push({ token, text, probability });
      this._text += text;
      this._probability *= probability;
      this._cut = this._trim(false);
      grown = (this._threshold === null && this._show(this._wholeLines(this._cut.text))) || grown;
      if (this.done) {
        break;
      }
    }
    return grown;
  }

  /** Add tokens that continue the text: nothing is dropped at their start. */
  resume(pieces: Iterable<IPiece>): boolean {
    this._dropsIndentation = false;
    return this.take(pieces);
  }

  /** Show the rest; `whole` means that the model has ended the text. */
  finish(whole: boolean): void {
    // The held-back text is not part of a trimmed suggestion.
    const { text } = this._cut.done ? this._cut : this._trim(whole && this._isProbable);
    if (this._threshold === null) {
      this.confidence = this._probability;
      this._show(whole ? text : this._wholeLines(text));
    } else {
      this._show(this._probablePart(text, this._threshold));
    }
  }

  /** The reason to show nothing; `undefined` if something is shown. */
  get hiddenReason(): IFrame['hidden_reason'] {
    if (this._threshold === null || this.shown) {
      return undefined;
    }
    if (isBlank(this._text)) {
      return 'nothing';
    }
    return this._isProbable ? (this._text.trim().length < MIN_LENGTH ? 'short' : 'invalid') : 'unsure';
  }

  private get _isProbable(): boolean {
    return this._probability >= (this._threshold ?? 0);
  }

  private _trim(final: boolean): ICut {
    const end = this._threshold === null ? -1 : this._endOfStatement();
    return end < 0
      ? trim(this._text, this._surroundings, final)
      : { ...trim(this._text.slice(0, end), this._surroundings, true), done: true };
  }

  /** The end of the first line that is not blank and leaves nothing open; -1 if there is none. */
  private _endOfStatement(): number {
    let end = this._text.indexOf('\n');
    while (end >= 0 && (isBlank(this._text.slice(0, end)) || !this._closes(this._text.slice(0, end)))) {
      end = this._text.indexOf('\n', end + 1);
    }
    return end;
  }

  /** The longest beginning that may be shown; sets the confidence. */
  private _probablePart(text: string, threshold: number): string {
    let part = '';
    let [end, probability] = [0, 1];
    for (const piece of this.pieces) {
      end += piece.text.length;
      probability *= piece.probability;
      if (probability < threshold || end > text.length) {
        break;
      }
      const begun = text.slice(0, end);
      const isEnd =
        begun.trim().length >= (threshold && MIN_LENGTH) &&
        !INSEPARABLE.test(this._text.slice(end - 1, end + 1));
      if (isEnd && this._closes(begun)) {
        part = begun;
        this.confidence = probability;
      }
    }
    return part;
  }

  /** Drop the last line if it is unfinished and not the only one. */
  private _wholeLines(text: string): string {
    if (/^[ \t]*\n/.test(this._text.slice(text.length))) {
      return text;
    }
    const above = text.slice(0, Math.max(0, text.lastIndexOf('\n')));
    return isBlank(above) ? text : above;
  }

  private _show(text: string): boolean {
    if (text.length <= this.shown.length || isBlank(text)) {
      return false;
    }
    this.shown = text;
    return true;
  }

  private _text = '';
  private _probability = 1; // of the generated text
  private _cut: ICut = { text: '', done: false }; // the latest text, trimmed
  private _dropsIndentation: boolean; // at the beginning of the text
}
