/** The page around the providers: the document that is open, the editor in it, JupyterLab's completer there. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { ICompletionProviderManager } from '@jupyterlab/completer';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { Widget } from '@lumino/widgets';
import type { Completers } from './completers';
import { otherDocuments } from './otherdocuments';
import type { IOtherDocument } from './wire';

/** What a provider needs of the page. */
export interface IPage {
  readonly widget: Widget | null;
  /** The editor of that widget which can be completed. */
  readonly editor: CodeEditor.IEditor | null;
  /** Have JupyterLab ask its providers, as if the person had. */
  invoke(): void;
  dismiss(): void;
  otherDocuments(path: string, language: string): IOtherDocument[];
}

export class Page implements IPage {
  constructor(
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _manager: ICompletionProviderManager,
    private readonly _completers: Completers
  ) {}

  get widget(): Widget | null {
    return this._shell.currentWidget;
  }

  get editor(): CodeEditor.IEditor | null {
    return this._completers.editorIn(this.widget);
  }

  /** The path of the document, if what is open is one. */
  get path(): string | null {
    return (this.widget as IDocumentWidget | null)?.context?.path ?? null;
  }

  invoke(): void {
    this._manager.inline?.invoke(this._id);
  }

  /** Take the whole suggestion. */
  accept(): void {
    this._manager.inline?.accept(this._id);
  }

  dismiss(): void {
    this._completers.dismiss();
  }

  /** Focus the document after a dialog that was opened from a notification: the notification is being removed. */
  returnFocus(): void {
    const { activeElement } = document;
    if (activeElement === document.body || activeElement?.closest('.Toastify__toast')) {
      this.widget?.activate();
    }
  }

  otherDocuments(path: string, language: string): IOtherDocument[] {
    return otherDocuments(this._shell, path, language);
  }

  private get _id(): string {
    return this.widget?.id ?? '';
  }
}
