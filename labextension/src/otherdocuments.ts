/** Other documents that are open: what the person works on beside this one. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { FileEditor } from '@jupyterlab/fileeditor';
import { DocumentWidget } from '@jupyterlab/docregistry';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { Widget } from '@lumino/widgets';
import { isPrivatePath, languageOf } from './language';
import type { IOtherDocument } from './wire';
import { CELL_LIMIT, fitBytes, wellFormed } from './window';

export const MOST_DOCUMENTS = 4;

/** Read a document: the code of a notebook, the text of a file. */
function read(widget: Widget): IOtherDocument | null {
  if (!(widget instanceof DocumentWidget) || !widget.context.isReady) {
    return null;
  }
  const { path } = widget.context;
  if (widget instanceof NotebookPanel && widget.content.model) {
    const sources: string[] = [];
    for (const cell of widget.content.model.cells) {
      if (cell.type === 'code') {
        sources.push(cell.sharedModel.getSource());
      }
    }
    return { path, language: languageOf(widget.content.codeMimetype), source: sources.join('\n\n') };
  }
  const { content } = widget as DocumentWidget;
  return content instanceof FileEditor
    ? { path, language: languageOf(content.model.mimeType), source: content.model.sharedModel.getSource() }
    : null;
}

/** Return other open documents of a language, as they stand now; none twice, and none that may hold credentials. */
export function otherDocuments(
  shell: JupyterFrontEnd.IShell,
  path: string,
  language: string
): IOtherDocument[] {
  const others: IOtherDocument[] = [];
  for (const widget of shell.widgets('main')) {
    const other = read(widget);
    if (
      other?.source.trim() &&
      other.path !== path &&
      other.language === language &&
      !isPrivatePath(other.path) &&
      !others.some(({ path: known }) => known === other.path)
    ) {
      others.push({
        path: other.path.slice(-4096),
        language: language.slice(0, 64),
        source: wellFormed(fitBytes(other.source, CELL_LIMIT, false))
      });
    }
    if (others.length === MOST_DOCUMENTS) {
      break;
    }
  }
  return others;
}
