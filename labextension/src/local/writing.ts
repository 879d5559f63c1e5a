/** The text of one suggestion while its tokens arrive; the shown text only grows. Pure. */

import type { IFrame } from '../wire';
import type { Gate } from './gate';
import type { ISurroundings } from './surroundings';
import { isBlank, stripEnd, stripStart } from './text';
import { joiningPart } from './joining';
import { type ICut, trim } from './trim';

/** A token of an answer: its text, as far as it belongs to the answer. */
export interface IPiece {
  token: number;
  text: string;
  probability: number;
}

export const HOLD = 150; // milliseconds for which a suggestion is held back, because it may still become longer

/**
 * A suggestion that is trimmed and, for an automatic request, shown only as far as the gate allows.
 *
 * An automatic one is shown once: when it is complete, or `HOLD` after a part of it could first be shown.
 */
export class TrimmedText {
  constructor(
    private readonly _surroundings: ISurroundings,
    private readonly _gate: Gate,
    private readonly _unasked: boolean,
    /** whether the text after the cursor can follow a text */
    private readonly _joins: (text: string) => boolean = () => true,
    /** milliseconds; see `HOLD` */
    private readonly _hold = Infinity
  ) {
    // Some models repeat the indentation of the line.
    this._dropped = _surroundings.indented ? ' \t' : '';
  }

  readonly pieces: IPiece[] = [];
  shown = '';
  confidence = 1;
  /** The text is complete: no continuation belongs to it. */
  ended = false;
  /** No continuation would be shown. */
  gaveUp = false;

  /** Whether further tokens cannot change the result. */
  get done(): boolean {
    return this.ended || this.gaveUp;
  }

  /** Process tokens until the answer is done; return whether there is more to show. */
  take(pieces: Iterable<IPiece>): boolean {
    let grown = false;
    for (const { token, text: written, probability } of pieces) {
      const text = this._text || !this._dropped ? written : stripStart(written, this._dropped);
      this.pieces.push({ token, text, probability });
      this._text += text;
      grown = this._judge(text, probability) || grown;
      if (this.done) {
        return grown;
      }
    }
    return this._release() || grown;
  }

  /** Add tokens that continue the text: nothing is dropped at their start. */
  resume(pieces: Iterable<IPiece>): boolean {
    this._dropped = '';
    return this.take(pieces);
  }

  /** Show the rest; `whole` means that the model has ended the text. */
  finish(whole: boolean): void {
    if (this._unasked && this.shown) {
      return;
    }
    // The held-back text is not part of a trimmed suggestion.
    const { text } = this._trim(whole && !this.ended);
    if (whole && !this.gaveUp) {
      this._gate.end();
    }
    const [end, confidence] = this._gate.shown(text);
    this.confidence = confidence;
    const all = whole ? text : this._wholeLines(text);
    this._show(this._unasked ? stripEnd(text.slice(0, end)) : all);
  }

  /** The reason to show nothing; `undefined` if something is shown. */
  get hiddenReason(): IFrame['hidden_reason'] {
    if (!this._unasked || this.shown) {
      return undefined;
    }
    return isBlank(this._text) ? 'nothing' : this._gate.hiddenReason;
  }

  /** Whether the shown text is valid at the cursor. */
  get fits(): boolean {
    return this._gate.fits(this.shown);
  }

  /** Process the next piece of the text; return whether there is more to show. */
  private _judge(piece: string, probability: number): boolean {
    this._gate.add(piece, probability);
    this._cut = this._trim(false);
    this.ended = this._cut.done;
    if (!this._unasked) {
      return this._show(this._wholeLines(this._cut.text));
    }
    this.gaveUp = this._gate.hopeless;
    return false;
  }

  /** Show text that was held back for long enough; return whether there was any. */
  private _release(): boolean {
    const { text } = this._cut;
    const [end, confidence] = this._unasked ? this._gate.shown(text, false) : [0, 0];
    if (!end) {
      return false;
    }
    const now = performance.now();
    this._heldSince = Math.min(this._heldSince, now);
    if (now - this._heldSince < this._hold) {
      return false;
    }
    this.confidence = confidence;
    this.gaveUp = true;
    return this._show(stripEnd(text.slice(0, end)));
  }

  private _trim(final: boolean): ICut {
    const { text, done } = trim(this._text, this._surroundings, final);
    return { text: joiningPart(text, this._joins), done };
  }

  /** Drop the last line if it is unfinished and not the only one. */
  private _wholeLines(text: string): string {
    if (stripStart(this._text.slice(text.length), ' \t').startsWith('\n')) {
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
  private _cut: ICut = { text: '', done: false }; // the latest text, trimmed
  private _heldSince = Infinity; // when a part could first be shown
  private _dropped: string; // characters that are dropped at the beginning of the text
}

/** Round a score to four digits, half to even as Python does. */
export function rounded(value: number): number {
  const scaled = value * 1e4;
  const isHalf = Number.isInteger(value * 32) && scaled % 1 === 0.5;
  return isHalf ? (2 * Math.round(scaled / 2)) / 1e4 : Number(value.toFixed(4));
}
