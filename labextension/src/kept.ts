/** What is left of a piece of text while the document around it changes. Pure. */

import { codePoints } from './window';

/** A step through a changed text: so much stays, is inserted, or is deleted. */
export interface IStep {
  retain?: number;
  insert?: unknown;
  delete?: number;
}

/** A part of the piece that is left, and where it begins, in UTF-16 units. */
interface IPart {
  from: number;
  text: string;
}

/** The characters that a formatter leaves, with one kind of quotes, and where each is: all but white space. */
function significant(text: string): { text: string; places: number[] } {
  const places = Array.from(text.matchAll(/\S/g), found => found.index);
  const characters = places.map(place => text.charAt(place).replace("'", '"'));
  return { text: characters.join(''), places };
}

export class Kept {
  /** The piece is a text that begins at a place. */
  constructor(from: number, text: string) {
    this._parts = [{ from, text }];
    this._original = codePoints(text);
  }

  /** How many of its characters are left; `null` where that is not known any more. */
  get length(): number | null {
    const there = this._parts?.reduce((sum, { text }) => sum + codePoints(text), 0) ?? null;
    return there && Math.min(this._original, Math.max(0, there - this._added));
  }

  /** The text has changed. */
  change(steps: readonly IStep[]): void {
    const rewritten = this._rewritten(steps);
    if (rewritten !== null) {
      this._find(rewritten);
      return;
    }
    let at = 0;
    for (const step of steps) {
      if (step.retain) {
        at += step.retain;
      } else if (typeof step.insert === 'string') {
        this._insert(at, step.insert.length);
        at += step.insert.length;
      } else if (step.delete) {
        this._delete(at, at + step.delete);
      }
    }
  }

  /** The text that stands in place of all that stood here, as where a program formats it; `null`: some stayed. */
  private _rewritten(steps: readonly IStep[]): string | null {
    const end = this._parts?.reduce((last, { from, text }) => Math.max(last, from + text.length), 1) ?? 0;
    const deleted = steps.reduce((sum, step) => sum + (step.delete ?? 0), 0);
    const text = steps.map(({ insert }) => (typeof insert === 'string' ? insert : '')).join('');
    return deleted >= end && !steps.some(({ retain }) => retain) ? text : null;
  }

  /** Find the remaining parts in a new text, in which white space and quotes may differ. */
  private _find(text: string): void {
    const there = significant(text);
    const parts = this._parts?.map(part => ({ part, wanted: significant(part.text).text })) ?? [];
    const left = parts.reduce((sum, { wanted }) => sum + wanted.length, 0);
    const found: IPart[] = [];
    let at = 0;
    for (const { part, wanted } of parts) {
      const first = there.text.indexOf(wanted, at);
      if (first < 0) {
        // A formatter leaves most of a text; a key that replaces the selection does not.
        this._parts = 2 * there.text.length < left ? [] : null;
        return;
      }
      at = first + wanted.length;
      const from = there.places[first] ?? text.length;
      const piece = wanted && text.slice(from, (there.places[at - 1] ?? from) + 1);
      this._added += codePoints(piece) - codePoints(part.text);
      found.push({ from, text: piece });
    }
    this._parts &&= found;
  }

  private _insert(at: number, length: number): void {
    this._parts =
      this._parts?.flatMap(({ from, text }) => {
        const cut = Math.min(Math.max(at - from, 0), text.length);
        const moved = { from: Math.max(from, at) + length, text: text.slice(cut) };
        return [{ from, text: text.slice(0, cut) }, moved].filter(part => part.text);
      }) ?? null;
  }

  private _delete(start: number, end: number): void {
    const after = (place: number): number =>
      place <= start ? place : place >= end ? place - (end - start) : start;
    this._parts =
      this._parts
        ?.map(({ from, text }) => ({
          from: after(from),
          text: text.slice(0, Math.max(0, start - from)) + text.slice(Math.max(0, end - from))
        }))
        .filter(({ text }) => text) ?? null;
  }

  private _parts: IPart[] | null;
  /** How many characters of white space a formatter has added to it. */
  private readonly _original: number;
  private _added = 0;
}
