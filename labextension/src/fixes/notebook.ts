/** The notebook in requests for fixes, renames and repeated edits, and the reasons to send none. */

import type { CodeCell, ICellModel, ICodeCellModel } from '@jupyterlab/cells';
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';
import type { Availability } from '../availability';
import type { IClient } from '../client';
import type { Completers } from '../completers';
import { type ISwitches, switchedOff, switchOf } from '../decline';
import { languageOfNotebook } from '../document';
import { cellLanguage } from '../language';
import type { LiveRegion } from '../liveregion';
import type { Notice } from '../notice';
import { DISABLED } from '../requesterror';
import type { Preferences } from '../settings';
import { byteLength, wellFormed } from '../window';
import type { IEditRequest, IFixCell } from '../wire';
import type { EditFollower } from './edits';
import { Executions } from './executions';
import { mentions } from './identifiers';
import type { IChangedCell } from './offer';
import type { Offers, Setting } from './offers';
import { changedLines } from './replacements';
import type { OfferEdits } from './target';

/** Milliseconds to wait for a response. */
const TIMEOUT = 10_000;

/** Return a function that creates a value at the first call for an object, and returns it at the next ones. */
export function memoize<Key extends object, Value>(create: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, Value>();
  return key => {
    const value = known.get(key) ?? create(key);
    known.set(key, value);
    return value;
  };
}

const closingOf = memoize(({ disposed }: NotebookPanel) => {
  const closing = new AbortController();
  disposed.connect(() => closing.abort());
  return closing.signal;
});

/** Return a signal that also aborts a request if its notebook is closed or the response takes too long. */
export function withTimeout({ signal }: AbortController, panel: NotebookPanel): AbortSignal {
  return AbortSignal.any([signal, closingOf(panel), AbortSignal.timeout(TIMEOUT)]);
}

/** The components that fixes, renames and repeated edits use. */
export interface IParts {
  client: IClient;
  completers: Completers;
  availability: Availability;
  preferences: Preferences;
  switches: ISwitches;
  edits: EditFollower;
  offers: Offers;
  live: LiveRegion;
  notice: Pick<Notice, 'brief'>;
  trans: TranslationBundle;
  /** Return the shortcut that applies an offer, or all of it, for display, or an empty string. */
  shortcut: (isForAll?: boolean) => string;
}

/** Return the executions in a notebook since it was opened. */
export const executionsOf = memoize<INotebookModel, Executions>(() => new Executions());

export function cellsOf({ content }: NotebookPanel): ICellModel[] {
  return Array.from(content.model?.cells ?? []);
}

/** Return whether a name occurs in one of the code cells. */
export function isMentioned(name: string, cells: readonly ICellModel[]): boolean {
  return cells.some(({ type, sharedModel }) => type === 'code' && mentions(sharedModel.getSource(), name));
}

/** Return the code cell that shows a model. */
export function cellOf({ content }: NotebookPanel, model: ICellModel | undefined): CodeCell | undefined {
  return content.widgets.find(cell => cell.model === model && cell.model.type === 'code') as
    CodeCell | undefined;
}

/** Return whether a cell is Python, and the settings, the server and the off switches allow requests for it. */
export function isAllowed(
  { preferences, availability, switches }: IParts,
  setting: Setting,
  panel: NotebookPanel,
  cell: CodeCell
): boolean {
  const { health } = availability.state;
  if (cell.isDisposed || !preferences.current[setting] || health?.fixes === false) {
    return false;
  }
  const here = cellLanguage(cell.model.sharedModel.getSource(), languageOfNotebook(panel));
  const notebookSwitch = switchOf(panel.content.model);
  const document = { path: panel.context.path, notebookSwitch, here };
  return (
    here === 'python' &&
    switchedOff(document, preferences.current, switches) === null &&
    health?.code !== DISABLED
  );
}

const page = UUID.uuid4();

/** Return the fields that all requests have, or null if the cell `first` does not fit beside `further` bytes. */
export function requestOf(panel: NotebookPanel, first: number, further = 0): IEditRequest | null {
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

/**
 * Send the fields of a request and what all requests have, with `send`. Return null if it is not wanted, before or after,
 * or has been cancelled, or the cell `first` does not fit.
 */
export async function ask<Fields extends object, Answer>(
  panel: NotebookPanel,
  first: number,
  fields: Fields,
  abort: AbortController,
  isWanted: () => boolean,
  send: (request: IEditRequest & Fields, signal: AbortSignal) => Promise<Answer | null>
): Promise<Answer | null> {
  const common = isWanted() ? requestOf(panel, first, byteLength(JSON.stringify(fields))) : null;
  const answer = common && (await send({ ...common, ...fields }, withTimeout(abort, panel)));
  return !abort.signal.aborted && isWanted() ? answer : null;
}

/** The most cells and bytes that the server accepts; the rest of the body needs the difference to 1 MiB. */
export const MOST_CELLS = 4096;
export const MOST_BYTES = 896 * 1024;

/**
 * Keep the sources of code cells while they fit: first that of the cell `first`, then those above from the nearest to the
 * farthest, then those below. Other cells keep their position. Return null if not even the
 * first one fits. `further`: bytes of the request beside the cells.
 */
export function fitCells(cells: readonly IFixCell[], first: number, further = 0): IFixCell[] | null {
  const sent = cells.map((cell): IFixCell => ({ ...cell, source: null }));
  if (cells.length > MOST_CELLS) {
    return null;
  }
  let left = MOST_BYTES - further - byteLength(JSON.stringify(sent));
  const above = Array.from({ length: first + 1 }, (_, distance) => first - distance);
  const below = Array.from({ length: cells.length - first - 1 }, (_, distance) => first + 1 + distance);
  for (const index of [...above, ...below]) {
    const { type, source } = cells[index];
    const text = type === 'code' ? wellFormed(source ?? '') : null;
    const size = text === null ? 0 : byteLength(JSON.stringify(text));
    if (text !== null && size <= left) {
      left -= size;
      sent[index].source = text;
    }
  }
  return sent[first].source === null ? null : sent;
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
