/** Delays before retries, which double with each failure in a row. */

/** Return the delay in milliseconds after a number of earlier failures. */
export function delayAfter(failures: number, first: number, most: number): number {
  return Math.min(most, first * 2 ** failures);
}

export class Backoff {
  /** The first and the longest delay in milliseconds. */
  constructor(
    private readonly _first: number,
    private readonly _most: number
  ) {}

  failed(): void {
    this._until = performance.now() + delayAfter(this._failures++, this._first, this._most);
  }

  reset(): void {
    this._failures = this._until = 0;
  }

  /** Whether the delay after the last failure has passed. */
  get isOver(): boolean {
    return performance.now() >= this._until;
  }

  private _failures = 0;
  private _until = 0;
}
