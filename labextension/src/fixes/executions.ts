/** Executions of cells in a notebook: which cells the kernel has run, and whether they have been edited since. Pure. */

import { Signal } from '@lumino/signaling';

/** The part of a cell's model that is read. */
export interface IExecuted {
  executionCount?: number | null;
  sharedModel: { getSource(): string };
}

export class Executions {
  /** Emitted when a cell is about to be run. */
  readonly started = new Signal<this, void>(this);

  /** The cell is about to be run. */
  scheduled(cell: IExecuted): void {
    this._sources.set(cell, cell.sharedModel.getSource());
    this.started.emit();
  }

  /** The cell has been run. */
  executed(cell: IExecuted): void {
    const count = cell.executionCount;
    const source = this._sources.get(cell);
    if (count == null || source === undefined) {
      return;
    }
    if (count <= this._last) {
      // The kernel counts from the beginning: it has been restarted.
      this._runs = new WeakMap();
      this._first = count;
    }
    this._first = Math.min(this._first, count);
    this._last = count;
    this._runs.set(cell, { count, source });
  }

  /** Return the number of a cell's last execution by this kernel, or null. A saved number may be of another kernel. */
  countOf(cell: IExecuted): number | null {
    const count = cell.executionCount ?? null;
    const isOlder = count !== null && count < this._first; // run before the page was opened
    return isOlder || this._runs.get(cell)?.count === count ? count : null;
  }

  /** Return whether no other cell has been run after this one. */
  isLast(cell: IExecuted): boolean {
    return this._runs.get(cell)?.count === this._last;
  }

  /** Return whether a cell has been edited since it was run; null if it was run before the page was opened. */
  isChanged(cell: IExecuted): boolean | null {
    const run = this._runs.get(cell);
    return run ? run.source !== cell.sharedModel.getSource() : this.countOf(cell) === null ? false : null;
  }

  private readonly _sources = new WeakMap<IExecuted, string>();
  private _runs = new WeakMap<IExecuted, { count: number; source: string }>();
  private _first = Infinity;
  private _last = 0;
}
