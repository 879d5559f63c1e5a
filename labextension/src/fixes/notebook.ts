/** The notebook in requests for fixes and renames, and the reasons to send none. */

import type { CodeCell, ICellModel, ICodeCellModel } from '@jupyterlab/cells';
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';
import type { Availability } from '../availability';
import type { IFixClient } from '../client';
import { switchedOff } from '../decline';
import { languageOfNotebook } from '../document';
import { cellLanguage } from '../language';
import type { LiveRegion } from '../liveregion';
import type { Notice } from '../notice';
import { type ISwitches, switchOf } from '../offswitches';
import { DISABLED } from '../requesterror';
import type { Preferences } from '../settings';
import type { IFeedback, IFixCell, IRenameRequest } from '../wire';
import { fitCells } from './cells';
import { Executions } from './executions';
import type { JointUndo } from './jointundo';
import type { IChangedCell, Offer } from './offer';
import type { Offers } from './offers';
import { changedLines } from './replacements';
import type { IOwnEdit, OfferEdits } from './target';

/** Milliseconds to wait for a response. */
export const TIMEOUT = 10_000;

/** The components that fixes and renames use. */
export interface IParts {
  client: IFixClient;
  availability: Availability;
  preferences: Preferences;
  switches: ISwitches;
  offers: Offers;
  live: LiveRegion;
  notice: Pick<Notice, 'brief'>;
  trans: TranslationBundle;
  /** Return the shortcut that applies an offer, for display, or an empty string. */
  shortcut: () => string;
}

const executions = new WeakMap<INotebookModel, Executions>();

/** Return the executions in a notebook since it was opened. */
export function executionsOf(model: INotebookModel): Executions {
  const known = executions.get(model) ?? new Executions();
  executions.set(model, known);
  return known;
}

type Setting = 'suggestFixes' | 'suggestRenames';

/** Return whether a cell is Python, and the settings and the off switches allow requests for it. */
export function isAllowed(
  { preferences, availability, switches }: IParts,
  setting: Setting,
  panel: NotebookPanel,
  cell: CodeCell
): boolean {
  if (cell.isDisposed || !preferences.current[setting]) {
    return false;
  }
  const here = cellLanguage(cell.model.sharedModel.getSource(), languageOfNotebook(panel));
  const notebookSwitch = switchOf(panel.content.model);
  const document = { path: panel.context.path, notebookSwitch, here };
  return (
    here === 'python' &&
    switchedOff(document, preferences.current, switches) === null &&
    availability.state.health?.code !== DISABLED
  );
}

const page = UUID.uuid4();

/** Return the fields that all requests have, or null if the cell `first` does not fit beside `further` bytes. */
export function requestOf(
  panel: NotebookPanel,
  first: number,
  further = 0
): Omit<IRenameRequest, 'active' | 'before'> | null {
  const { model } = panel.content;
  const cells = model && fitCells(readCells(model), first, further);
  return (
    cells && {
      path: panel.context.path.slice(-4096),
      language: 'python',
      kernel_id: panel.sessionContext.session?.kernel?.id ?? null,
      enabled: true, // otherwise no request is sent
      client: `${page} ${panel.id}`.slice(0, 128),
      cells
    }
  );
}

function readCells(notebook: INotebookModel): IFixCell[] {
  const runs = executionsOf(notebook);
  return Array.from(notebook.cells, cell => {
    const model = cell as ICodeCellModel;
    const isCode = cell.type === 'code';
    return {
      id: cell.id.slice(0, 256),
      type: cell.type as IFixCell['type'],
      source: isCode ? cell.sharedModel.getSource() : null,
      execution_count: isCode ? runs.countOf(model) : null,
      changed: isCode && runs.isChanged(model)
    };
  });
}

/** Name a cell by its number, or else by its position. */
export function describeCell(
  trans: TranslationBundle,
  { content }: NotebookPanel,
  model: ICellModel
): string {
  const count = (model as ICodeCellModel).executionCount;
  const position = content.widgets.findIndex(cell => cell.model === model) + 1;
  if (position === 0) {
    return trans.__('Another cell'); // it has been deleted
  }
  return count ? trans.__('Cell [%1]', count) : trans.__('Cell %1', position);
}

/** Describe the lines that a target changes; cells other than `own` are named. */
export function describeChanges(
  trans: TranslationBundle,
  panel: NotebookPanel,
  { edits }: OfferEdits,
  own: CodeCell | null
): IChangedCell[] {
  return Array.from(edits, ([model, replacements]) => ({
    label: model === own?.model ? '' : describeCell(trans, panel, model),
    hunks: changedLines(model.sharedModel.getSource(), replacements)
  }));
}

/** Change the cells; return null, without any change, if their text has changed meanwhile. */
export function applyTarget(
  parts: IParts,
  offer: Offer,
  id: string,
  target: OfferEdits,
  own: IOwnEdit | null = null
): JointUndo | null {
  const { live, notice, trans } = parts;
  const { panel } = offer;
  const applied = target.apply(own);
  if (applied) {
    sendFeedback(parts, id, 'applied');
    live.say(trans.__('Applied.'));
    applied.stepped.connect((_, { step, changed }) => {
      if (changed) {
        const cell = describeCell(trans, panel, changed);
        notice.brief(
          step === 'undo'
            ? trans.__('%1 has changed since. Nothing was undone: undo again to change only this cell.', cell)
            : trans.__('%1 has changed since. Nothing was redone: redo again to change only this cell.', cell)
        );
      }
    });
  } else {
    const reason = trans.__('The fix cannot be applied: the code has changed.');
    offer.showFailure(reason);
    live.say(reason);
  }
  return applied;
}

/** Show a new offer, and announce it to screen readers. */
export function present(
  parts: IParts,
  setting: Setting,
  offer: Offer,
  id: string,
  dismissed = (): void => undefined
): void {
  const { live, offers, trans, shortcut } = parts;
  offer.dismiss = () => {
    dismissed();
    sendFeedback(parts, id, 'dismissed');
    offer.dispose();
  };
  offers.add(offer, () => isAllowed(parts, setting, offer.panel, offer.cell));
  sendFeedback(parts, id, 'shown');
  live.say(shortcut() ? trans.__('%1 Press %2 to apply.', offer.label, shortcut()) : offer.label);
}

function sendFeedback({ client }: IParts, id: string, event: IFeedback['event']): void {
  client.feedback({ id, event, chars: 0, length: 0, before: 0, seconds: 0 });
}
