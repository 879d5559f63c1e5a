/** A change of several cells that is undone and redone as a whole, although each cell has its own history. */

import type { ICellModel } from '@jupyterlab/cells';
import { Signal } from '@lumino/signaling';
import type { UndoManager } from 'yjs';

type Step = 'undo' | 'redo';

/** An undo or redo by the user: applied to all cells, or to none because `changed` was edited. */
export interface IStepped {
  step: Step;
  changed: ICellModel | null;
}

type StackItem = UndoManager['undoStack'][number];
type Listener = (event: { stackItem: StackItem }) => void;

/** A cell after the change, or after it was undone; its text may have stayed the same. */
interface IPart {
  model: ICellModel;
  manager: UndoManager;
  listener: Listener;
  /** the change in the history of the cell */
  item: StackItem | undefined;
  source: string;
}

/** The undo steps of joint changes. */
const jointSteps = new WeakSet();

/** Return whether the next undo in a cell undoes a joint change. */
export function undoesJointly({ sharedModel }: ICellModel): boolean {
  const newest = managerOf(sharedModel)?.undoStack.at(-1);
  return newest !== undefined && jointSteps.has(newest);
}

export class JointUndo {
  /**
   * Call `change` with whether each cell has its own history. With that of the whole document, the cells share a step.
   * The change can also be undone in the cells `others`, whose text it does not change.
   */
  constructor(
    readonly models: readonly ICellModel[],
    change: (isSeparate: boolean) => void,
    others: readonly ICellModel[] = []
  ) {
    const managers = new Map<UndoManager, ICellModel>();
    for (const model of models) {
      const manager = managerOf(model.sharedModel);
      if (manager) {
        managers.set(manager, model);
      }
    }
    const isSeparate = managers.size === models.length;
    const unchanged = others.filter(model => {
      const manager = managerOf(model.sharedModel);
      return manager && !managers.has(manager) && managers.set(manager, model);
    });
    const separate = (): void => managers.forEach((_, manager) => manager.stopCapturing());
    separate();
    change(isSeparate);
    unchanged.forEach(addStep);
    separate();
    for (const [manager, model] of managers) {
      const listener: Listener = ({ stackItem }) => {
        if (stackItem === part.item && !this._isStepping) {
          queueMicrotask(() => this._applyToOthers(part)); // the manager has not finished the step
        }
      };
      const part: IPart = { model, manager, listener, item: undefined, source: '' };
      this._parts.add(part);
      manager.on('stack-item-popped', listener);
    }
    this._record();
  }

  /** Emitted after an undo or redo of the change, also if it was rejected. */
  readonly stepped = new Signal<this, IStepped>(this);

  /** Undo the change in all cells, or in none if one of them has changed since; return that cell. */
  undo(): ICellModel | null {
    const parts = this._partsExcept(null);
    const changedPart = parts.find(part => !this._isCurrent(part));
    if (!changedPart && this._step === 'undo') {
      this._stepIn(parts);
    }
    return changedPart?.model ?? null;
  }

  /** The user has undone or redone the change in one cell: do the same in the others, or else reverse it. */
  private _applyToOthers(first: IPart): void {
    const others = this._partsExcept(first);
    const changedPart = others.find(part => !this._isCurrent(part));
    if (!changedPart) {
      this._stepIn(others);
      return;
    }
    // The next step is made in this cell only: the user could not undo older edits otherwise.
    this._parts.forEach(({ manager, listener }) => manager.off('stack-item-popped', listener));
    const step = this._step;
    if (this.models.includes(first.model)) {
      first.model.sharedModel[opposite(step)]();
    }
    this.stepped.emit({ step, changed: changedPart.model });
  }

  /** Return the other parts. Forget the cells without a change that have been edited since: they do not prevent a step. */
  private _partsExcept(first: IPart | null): IPart[] {
    for (const part of this._parts) {
      if (part !== first && !this.models.includes(part.model) && !this._isCurrent(part)) {
        part.manager.off('stack-item-popped', part.listener);
        this._parts.delete(part);
      }
    }
    return [...this._parts].filter(part => part !== first);
  }

  private _stepIn(parts: readonly IPart[]): void {
    const step = this._step;
    this._isStepping = true;
    for (const { model, item } of parts) {
      item?.meta.clear(); // the editors would scroll to the selections, away from the active cell
      model.sharedModel[step]();
    }
    this._isStepping = false;
    this._step = opposite(step);
    this._record();
    this.stepped.emit({ step, changed: null });
  }

  private _isCurrent(part: IPart): boolean {
    const { sharedModel } = part.model;
    return (
      !sharedModel.isDisposed && sharedModel.getSource() === part.source && this._newest(part) === part.item
    );
  }

  private _newest({ manager }: IPart): StackItem | undefined {
    return (this._step === 'undo' ? manager.undoStack : manager.redoStack).at(-1);
  }

  private _record(): void {
    for (const part of this._parts) {
      part.item = this._newest(part);
      part.source = part.model.sharedModel.getSource();
      if (part.item) {
        jointSteps.add(part.item);
      }
    }
  }

  private readonly _parts = new Set<IPart>();
  /** what can be done next */
  private _step: Step = 'undo';
  private _isStepping = false;
}

function managerOf(sharedModel: ICellModel['sharedModel']): UndoManager | null {
  return (sharedModel as { undoManager?: UndoManager | null }).undoManager ?? null;
}

/** Add a step to the history of a cell that changes nothing: an entry is replaced by the same. */
function addStep({ sharedModel }: ICellModel): void {
  const { ymodel } = sharedModel as unknown as { ymodel?: Map<string, unknown> };
  sharedModel.transact(() => ymodel?.set('cell_type', ymodel.get('cell_type')));
}

function opposite(step: Step): Step {
  return step === 'undo' ? 'redo' : 'undo';
}
