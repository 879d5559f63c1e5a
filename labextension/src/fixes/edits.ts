/** Follow the cell in which the user types, and notice when an edit has settled. */

import type { CodeCell } from '@jupyterlab/cells';
import { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { followEdits, type IStep, onEdit, type Origin } from '../collaboration';
import { isComposing } from '../editor';
import type { Page } from '../page';

/** Milliseconds without typing after which an edit has settled. */
export const SETTLE = 500;

/** The cell that has the focus, or had it last. */
export interface IFollowed {
  panel: NotebookPanel;
  cell: CodeCell;
  /** its source when it got the focus, or before the change of a name that has not ended */
  before: string;
  /** its source before the edit that has settled last, or has not settled yet */
  settled: string;
  /** stop following it */
  leave: () => void;
}

export class EditFollower {
  constructor(private readonly _page: Pick<Page, 'widget'>) {
    document.addEventListener('focusin', ({ target }) => {
      if (target instanceof Element) {
        this._focused(target);
      }
    });
  }

  /** Emitted after each edit of the followed cell. `isOffered`: an offer made it. */
  readonly edited = new Signal<this, { panel: NotebookPanel; isOffered: boolean }>(this);

  /** Emitted after the user has undone or redone an edit of the followed cell. */
  readonly undone = new Signal<this, IFollowed>(this);

  /** Emitted when the followed cell has got the focus again, without an edit that has not settled. */
  readonly refocused = new Signal<this, IFollowed>(this);

  /** Emitted when the user has stopped typing, or has left the line or the cell. */
  readonly settled = new Signal<this, IFollowed>(this);

  /** Make the change of an offer, which does not count as an edit by the user; it returns null if it changes nothing. */
  apply<T>(change: () => T | null): T | null {
    this._isApplying = true;
    const applied = change();
    this._isApplying = false;
    if (applied) {
      this.reset();
    }
    return applied;
  }

  /** Count the current text as unedited: it was changed for the user. */
  reset(): void {
    this._clear();
    if (this._followed) {
      resetBaselines(this._followed);
    }
  }

  /** Follow the cell whose editor has got the focus. */
  private _focused(target: Element): void {
    const { widget: panel } = this._page;
    if (!(panel instanceof NotebookPanel)) {
      return;
    }
    const cell = panel.content.activeCell;
    if (cell?.model.type !== 'code' || !cell.editor?.host.contains(target)) {
      return;
    }
    if (this._followed?.cell === cell) {
      if (this._timer === undefined) {
        this.refocused.emit(this._followed);
      }
      return;
    }
    this._settle(); // without waiting any longer
    this._followed?.leave();
    const { model, editor } = cell;
    const { sharedModel } = model;
    const { selections } = editor.model;
    const unfollow = followEdits(sharedModel, origin => void (this._origin = origin));
    onEdit(model, this._edited, unfollow);
    selections.changed.connect(this._moved, unfollow);
    const leave = (): void => {
      unfollow();
      Signal.clearData(unfollow);
    };
    const source = sharedModel.getSource();
    this._followed = { panel, cell: cell as CodeCell, leave, before: source, settled: source };
  }

  private readonly _edited = (steps: readonly IStep[]): void => {
    const { _followed: followed, _origin: origin, _isApplying: isOffered } = this;
    if (!followed) {
      return;
    }
    this.edited.emit({ panel: followed.panel, isOffered });
    if (isOffered) {
      return;
    }
    const { sharedModel } = followed.cell.model;
    if (origin === 'other user') {
      resetBaselines(followed);
    } else if (origin === 'undo' || isReplaced(sharedModel.getSource(), steps)) {
      followed.settled = sharedModel.getSource();
    }
    if (origin === 'undo') {
      this.undone.emit(followed);
    }
    this._wait();
    // The text and the cursor change together, in either order: until both have, the line is unknown.
    this._line = undefined;
    setTimeout(() => void (this._line = lineOf(followed)));
  };

  private readonly _moved = (): void => {
    setTimeout(() => {
      const { _followed: followed, _line: line } = this;
      if (followed && line !== undefined && this._timer !== undefined && lineOf(followed) !== line) {
        this._settle();
      }
    });
  };

  private _wait(): void {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._settle(), SETTLE);
  }

  private _clear(): void {
    clearTimeout(this._timer);
    this._timer = undefined;
  }

  private _settle(): void {
    const { _followed: followed } = this;
    const isPending = this._timer !== undefined;
    this._clear();
    if (!followed || !isPending || followed.cell.isDisposed) {
      return;
    }
    if (followed.cell.editor && isComposing(followed.cell.editor)) {
      this._wait();
    } else {
      this.settled.emit(followed);
    }
  }

  private _followed: IFollowed | null = null;
  private _origin: Origin = 'user';
  private _isApplying = false;
  private _line: number | undefined;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}

/** Return whether a change has replaced the whole text, as a formatter or pasting does. */
function isReplaced(source: string, steps: readonly IStep[]): boolean {
  const inserted = steps.map(({ insert = '' }) => insert).join('');
  return inserted === source && steps.some(step => step.delete);
}

/** A further change of the name is not the continuation of this one. */
export function resetBaseline(followed: IFollowed): void {
  followed.before = followed.cell.model.sharedModel.getSource();
}

function resetBaselines(followed: IFollowed): void {
  resetBaseline(followed);
  followed.settled = followed.before;
}

function lineOf({ cell }: IFollowed): number | undefined {
  return cell.editor?.getCursorPosition().line;
}
