/** Find a text in another one that arrives in pieces. Pure. */

/** Searches for a text in pieces as they arrive, by the algorithm of Knuth, Morris and Pratt. */
export class Matcher {
  constructor(private readonly _text: string) {
    for (let at = 1; at < _text.length; at++) {
      this._fallback.push(this._after(_text[at], this._fallback[at - 1]));
    }
  }

  /** Search a piece from `start`; return the end of the next occurrence, or -1. */
  find(piece: string, start = 0): number {
    for (let at = start; at < piece.length; at++) {
      this._begun = this._after(piece[at], this._begun);
      if (this._begun === this._text.length) {
        return at + 1;
      }
    }
    return -1;
  }

  /** The lengths of all prefixes of the text that the pieces so far end with, longest first. */
  beginnings(): number[] {
    const lengths: number[] = [];
    for (let begun = this._begun; begun > 0; begun = this._fallback[begun - 1]) {
      lengths.push(begun);
    }
    return lengths;
  }

  private _after(character: string, started: number): number {
    let begun = started;
    while (begun > 0 && (begun === this._text.length || this._text[begun] !== character)) {
      begun = this._fallback[begun - 1];
    }
    return begun + Number(this._text[begun] === character);
  }

  private _begun = 0; // how many characters of the text the pieces so far end with
  /** for each prefix: its longest proper suffix that is also a prefix */
  private readonly _fallback = [0];
}
