/** Track how much of an inserted text is retained while the document changes. Pure. */

import { codePoints } from './window';

/** A step of a text delta. */
export interface IStep {
  retain?: number;
  insert?: unknown;
  delete?: number;
}

/** A retained part of the text, and its start in UTF-16 units. */
interface IPart {
  from: number;
  text: string;
}

/** Return the characters that a formatter retains (no white space, quotes unified), and their positions. */
function significant(text: string): { text: string; positions: number[] } {
  const positions = Array.from(text.matchAll(/\S/g), found => found.index);
  const characters = positions.map(position => text.charAt(position).replace("'", '"'));
  return { text: characters.join(''), positions };
}

export class Retention {
  /** Track `text`, which begins at `from`. */
  constructor(from: number, text: string) {
    this._parts = [{ from, text }];
    this._original = codePoints(text);
  }

  /** The number of retained characters; `null` if unknown. */
  get length(): number | null {
    const there = this._parts?.reduce((sum, { text }) => sum + codePoints(text), 0) ?? null;
    return there && Math.min(this._original, Math.max(0, there - this._added));
  }

  /** Apply a change of the document. */
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

  /** Return the text that replaces the whole document, as a formatter does; `null` if some of it is retained. */
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
        // A formatter retains most of a text; a keystroke that replaces the selection does not.
        this._parts = 2 * there.text.length < left ? [] : null;
        return;
      }
      at = first + wanted.length;
      const from = there.positions[first] ?? text.length;
      const piece = wanted && text.slice(from, (there.positions[at - 1] ?? from) + 1);
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
    const after = (position: number): number =>
      position <= start ? position : position >= end ? position - (end - start) : start;
    this._parts =
      this._parts
        ?.map(({ from, text }) => ({
          from: after(from),
          text: text.slice(0, Math.max(0, start - from)) + text.slice(Math.max(0, end - from))
        }))
        .filter(({ text }) => text) ?? null;
  }

  private _parts: IPart[] | null;
  private readonly _original: number;
  /** the number of white space characters that a formatter has added */
  private _added = 0;
}
