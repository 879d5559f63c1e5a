/** Edits by other users of a shared document. */

import type { CodeEditor } from '@jupyterlab/codeeditor';

/** The part of a Yjs text that is used. */
interface ISharedText {
  observe(changed: (event: unknown, transaction: { local: boolean }) => void): void;
  toString(): string;
}

/** Call `edited` with the text of an editor after each edit by another user, before JupyterLab calls the providers. */
export function followOthers(editor: CodeEditor.IEditor, edited: (text: string) => void): void {
  const { ysource } = editor.model.sharedModel as { ysource?: ISharedText };
  ysource?.observe((_, { local }) => {
    if (!local) {
      edited(ysource.toString());
    }
  });
}
