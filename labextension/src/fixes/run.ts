/** Runs cells for the user. */

import type { Cell } from '@jupyterlab/cells';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';

/** Run cells. The notebook stays in edit mode: the user may go on typing. */
export function runCells({ content, sessionContext }: NotebookPanel, cells: Cell[]): Promise<boolean> {
  const { mode } = content;
  const run = NotebookActions.runCells(content, cells, sessionContext);
  content.mode = mode;
  return run;
}
