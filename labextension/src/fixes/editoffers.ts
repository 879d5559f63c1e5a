/** After an edit of a cell, offer to rename or to repeat what it has changed. */

import type { INotebookModel } from '@jupyterlab/notebook';
import type { ChangeOffer } from './changeoffer';
import { type IFollowed, resetBaseline } from './edits';
import { History } from './history';
import { changeOf } from './identifiers';
import { type IParts, isAllowed, memoize } from './notebook';
import { offerRename } from './renames';
import { offerRepeats, type RepeatOffer } from './repeats';

/** The edits of a notebook, the request after the last one, and the offers that are shown. */
export interface IEditState {
  history: History;
  abort: AbortController;
  /** ends at the next edit */
  rename: ChangeOffer | null;
  repeat: RepeatOffer | null;
}

export class EditOffers {
  constructor(private readonly _parts: IParts) {
    const { edits } = _parts;
    edits.edited.connect((_, { panel, isOffered }) => {
      const { abort, rename } = this._stateOf(panel.context.model);
      abort.abort();
      if (!isOffered) {
        rename?.dispose();
      }
    });
    edits.refocused.connect((_, followed) => {
      const { rename } = this._stateOf(followed.panel.context.model);
      if (rename?.isDisposed !== false) {
        resetBaseline(followed);
      }
    });
    edits.undone.connect((_, { panel, cell: { model } }) => {
      const { history, repeat } = this._stateOf(panel.context.model);
      history.forget(model.id);
      if (repeat?.edited === model && repeat.isOpen) {
        repeat.end();
      }
    });
    edits.settled.connect((_, followed) => {
      void this._settled(followed).catch(() => undefined); // offers are optional: a failed request is not reported
    });
  }

  private async _settled(followed: IFollowed): Promise<void> {
    const { _parts: parts } = this;
    const { panel, cell, before, settled } = followed;
    const state = this._stateOf(panel.context.model);
    state.repeat?.display();
    const after = cell.model.sharedModel.getSource();
    followed.settled = after;
    const edit = isAllowed(parts, 'suggestRepeats', panel, cell)
      ? state.history.add(cell.model.id, settled, after, Date.now())
      : null;
    const change = changeOf(before, after);
    if (change === 'other') {
      resetBaseline(followed);
    }
    const abort = (state.abort = new AbortController());
    const isRenamed =
      typeof change === 'object' &&
      (await offerRename(parts, followed, { model: cell.model, before, after, change }, state));
    if (edit && !isRenamed && !abort.signal.aborted) {
      await offerRepeats(parts, followed, edit, state);
    }
  }

  private readonly _stateOf = memoize<INotebookModel, IEditState>(() => ({
    history: new History(),
    abort: new AbortController(),
    rename: null,
    repeat: null
  }));
}
