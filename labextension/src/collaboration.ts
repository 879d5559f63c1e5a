/** Edits by other users of a shared document. */

import type { CodeEditor } from '@jupyterlab/codeeditor';

interface ITransaction {
  local: boolean;
  changed: Map<unknown, unknown>;
}

type Listener = (transaction: ITransaction) => void;

/** The part of a Yjs text that is used. */
interface ISharedText {
  doc: {
    on(event: 'beforeObserverCalls', listener: Listener): void;
    off(event: 'beforeObserverCalls', listener: Listener): void;
  } | null;
  toString(): string;
}

/** Call `edited` with the text of an editor after each edit by another user, before JupyterLab calls the providers. */
export function followOthers(editor: CodeEditor.IEditor, edited: (text: string) => void): void {
  const { ysource } = editor.model.sharedModel as { ysource?: ISharedText };
  const doc = ysource?.doc;
  // JupyterLab's observers of a text may come before others.
  const check: Listener = ({ local, changed }) => {
    if (editor.isDisposed) {
      doc?.off('beforeObserverCalls', check);
    } else if (!local && changed.has(ysource)) {
      edited(String(ysource));
    }
  };
  doc?.on('beforeObserverCalls', check);
}
