/** An offer to change cells: it is announced, applied, and then reports the change. */

import type { CodeCell, ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { onEdit } from '../collaboration';
import type { IFeedback } from '../wire';
import type { JointUndo } from './jointundo';
import { describeCell, type IParts, isAllowed } from './notebook';
import { type IAction, Offer } from './offer';
import type { Setting } from './offers';
import type { OfferEdits } from './target';

/** Reports to the server what became of an offer, each event once. */
type Feedback = (event: IFeedback['event']) => void;

export function feedbackFor({ client }: IParts, id: string): Feedback {
  const sent = new Set<string>();
  return event => {
    if (!sent.has(event)) {
      sent.add(event);
      client.feedback({ id, event, chars: 0, length: 0, before: 0, seconds: 0 });
    }
  };
}

export class ChangeOffer extends Offer {
  constructor(
    private readonly _parts: IParts,
    panel: NotebookPanel,
    cell: CodeCell,
    readonly feedback: Feedback
  ) {
    super(panel, cell, _parts.trans);
  }

  /** Announce the offer to screen readers, and let the shortcuts refer to it. */
  present(setting: Setting, dismissed = (): void => undefined): void {
    const { live, offers, trans, shortcut } = this._parts;
    this.dismiss = () => {
      dismissed();
      this.feedback('dismissed');
      this.dispose();
    };
    offers.add(this, setting, () => isAllowed(this._parts, setting, this.panel, this.cell));
    this.feedback('shown');
    const key = offers.newestIn(this.panel.content) === this ? shortcut() : '';
    live.say(key ? trans.__('%1 Press %2 to apply.', this.label, key) : this.label);
  }

  /** Change the cells with `change`, which returns null, without any change, if their text has changed meanwhile. */
  apply({ locked }: OfferEdits, change: () => JointUndo | null): JointUndo | null {
    const { edits, live, notice, trans } = this._parts;
    const applied = locked.length > 0 ? null : edits.apply(change);
    if (!applied) {
      const reason =
        locked.length > 0
          ? trans.__('%1 is read-only. Nothing was applied.', this._nameOf(locked[0]))
          : trans.__('The code has changed since. Nothing was applied.');
      this.showFailure(reason);
      live.say(reason);
      return null;
    }
    this.feedback('applied');
    live.say(trans.__('Applied.'));
    applied.stepped.connect((_, { step, changed }) => {
      if (!changed) {
        edits.reset();
        return;
      }
      const cell = this._nameOf(changed);
      notice.brief(
        step === 'undo'
          ? trans.__('%1 has changed. Nothing undone: undo again for this cell only.', cell)
          : trans.__('%1 has changed. Nothing redone: redo again for this cell only.', cell)
      );
    });
    return applied;
  }

  /**
   * Report the change, with a button that undoes it; without another action, for some time. `run`: the cells that the
   * first action runs.
   */
  report(
    applied: JointUndo,
    question: string,
    actions: readonly IAction[] = [],
    run: readonly CodeCell[] = []
  ): void {
    const { live, notice, offers, trans, shortcut } = this._parts;
    const undo: IAction = {
      label: trans.__('Undo'),
      caption: trans.__('Undo the change in all cells'),
      run: () => {
        const changed = applied.undo();
        if (changed) {
          notice.brief(trans.__('%1 has changed since. Nothing was undone.', this._nameOf(changed)));
        }
      }
    };
    if (actions.length === 0) {
      this.disposeLater();
    }
    // After any edit of one of the cells, the change cannot be undone as a whole.
    const end = (): void => this.dispose();
    for (const model of applied.models) {
      onEdit(model, end, this);
      model.sharedModel.disposed.connect(end, this);
    }
    this.dismiss = end;
    this.isReport = true;
    this.display({
      question,
      runs: run.filter(cell => cell !== this.cell),
      actions: [...actions, undo],
      shortcuts: actions.map(() => shortcut())
    });
    const key = actions.length > 0 && offers.newestIn(this.panel.content) === this ? shortcut() : '';
    live.say(key ? trans.__('%1 Press %2 to run.', question, key) : question);
  }

  private _nameOf(model: ICellModel): string {
    return describeCell(this._parts.trans, this.panel, model);
  }
}
