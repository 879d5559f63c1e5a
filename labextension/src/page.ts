/** The open documents, the current editor and its completer. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { ICompletionProviderManager } from '@jupyterlab/completer';
import { DocumentWidget, type IDocumentWidget } from '@jupyterlab/docregistry';
import { FileEditor } from '@jupyterlab/fileeditor';
import { type INotebookModel, type Notebook, NotebookPanel } from '@jupyterlab/notebook';
import { MessageLoop } from '@lumino/messaging';
import type { Widget } from '@lumino/widgets';
import type { Completers } from './completers';
import { switchOf } from './decline';
import { isPrivatePath, languageOf } from './language';
import { CELL_LIMIT, fitBytes, wellFormed } from './window';
import type { IOtherDocument } from './wire';

const MOST_DOCUMENTS = 4;

export class Page {
  constructor(
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _manager: ICompletionProviderManager,
    readonly completers: Completers
  ) {}

  get widget(): Widget | null {
    return this._shell.currentWidget;
  }

  /** The editor in the current widget that has a completer. */
  get editor(): CodeEditor.IEditor | null {
    return this.completers.editorIn(this.widget);
  }

  /** The path of the current document, or null. */
  get path(): string | null {
    return (this.widget as IDocumentWidget | null)?.context?.path ?? null;
  }

  /** The model of the current notebook; null: the document is not a notebook, or is not loaded yet. */
  get notebook(): INotebookModel | null {
    return this.notebookView?.model ?? null;
  }

  /** The current notebook, or null. */
  get notebookView(): Notebook | null {
    const { widget } = this;
    return widget instanceof NotebookPanel ? widget.content : null;
  }

  /** Let JupyterLab call its providers, as for an explicit request. */
  invoke(): void {
    this._manager.inline?.invoke(this._id);
  }

  /** Accept the whole suggestion. */
  accept(): void {
    this._manager.inline?.accept(this._id);
  }

  /** Close the completion menu. JupyterLab has no command for it, but any keydown event outside the editor closes it. */
  closeMenu(): void {
    const menus = document.querySelectorAll('.jp-Completer:not(.lm-mod-hidden)');
    if (menus.length > 0) {
      menus.forEach(menu => menu.dispatchEvent(new KeyboardEvent('keydown')));
      MessageLoop.flush(); // otherwise the menu closes in the next frame
    }
  }

  /** Focus the document after a dialog that was opened from a notification: the notification is being removed. */
  returnFocus(): void {
    const { activeElement } = document;
    if (activeElement === document.body || activeElement?.closest('.Toastify__toast')) {
      this.widget?.activate();
    }
  }

  /**
   * Return the current contents of other open documents of a language, without files that may contain credentials and
   * notebooks in which suggestions are disabled.
   */
  otherDocuments(path: string, language: string): IOtherDocument[] {
    const others: IOtherDocument[] = [];
    for (const widget of this._shell.widgets('main')) {
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

  private get _id(): string {
    return this.widget?.id ?? '';
  }
}

/** Read a document: the code of a notebook, the text of a file. */
function read(widget: Widget): IOtherDocument | null {
  if (!(widget instanceof DocumentWidget) || !widget.context.isReady) {
    return null;
  }
  const { path } = widget.context;
  if (widget instanceof NotebookPanel && widget.content.model) {
    if (switchOf(widget.content.model) !== 'enabled') {
      return null;
    }
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
