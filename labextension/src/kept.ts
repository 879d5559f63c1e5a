/** What is left of a piece of text while the document around it changes. Pure. */

/** A step through a changed text: so much stays, is inserted, or is deleted. */
export interface IStep {
  retain?: number;
  insert?: unknown;
  delete?: number;
}

export class Kept {
  /** The piece stands from one place up to another, in UTF-16 units. */
  constructor(from: number, to: number) {
    this._pieces = from < to ? [[from, to]] : [];
  }

  /** How many of its characters are left. */
  get length(): number {
    return this._pieces.reduce((sum, [from, to]) => sum + to - from, 0);
  }

  /** The text has changed. */
  change(steps: readonly IStep[]): void {
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

  private _insert(at: number, length: number): void {
    this._pieces = this._pieces.flatMap(([from, to]): [number, number][] =>
      at <= from
        ? [[from + length, to + length]]
        : at >= to
          ? [[from, to]]
          : [
              [from, at],
              [at + length, to + length]
            ]
    );
  }

  private _delete(start: number, end: number): void {
    const after = (place: number): number =>
      place <= start ? place : place >= end ? place - (end - start) : start;
    this._pieces = this._pieces
      .map(([from, to]): [number, number] => [after(from), after(to)])
      .filter(([from, to]) => from < to);
  }

  private _pieces: [number, number][];
}
