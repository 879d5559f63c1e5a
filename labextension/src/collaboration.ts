/** Edits of a shared document, by their origin. */

import type { Delta, IYText } from '@jupyter/ydoc';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { RelativePosition, Transaction } from 'yjs';

/** A step of an edit: text that is kept, inserted or deleted. */
export type IStep = Delta<string>[number];

/** `user`: by typing, or by a program in this page. */
export type Origin = 'user' | 'undo' | 'other user';

/** The state of a page in the awareness of jupyter-collaboration; the pages of a user have one user name. */
interface IAwarenessState {
  user?: { username?: string };
  cursors?: unknown;
}

/** A cursor in the awareness of jupyter-collaboration. */
interface ICursor {
  anchor?: Pick<RelativePosition, 'type'> | null;
}

/** Call `edited` after each edit of a text, before JupyterLab calls its observers. Return a function that ends it. */
export function followEdits(
  sharedModel: CodeEditor.IModel['sharedModel'],
  edited: (origin: Origin) => void
): () => void {
  const shared = sharedModel as Partial<IYText>;
  const { ysource } = shared;
  const doc = ysource?.doc;
  // JupyterLab's observers of a text may come before others.
  const check = ({ local, origin, changed }: Transaction): void => {
    if ((changed as Map<unknown, unknown>).has(ysource)) {
      edited(!local ? 'other user' : origin && origin === shared.undoManager ? 'undo' : 'user');
    }
  };
  doc?.on('beforeObserverCalls', check);
  return () => doc?.off('beforeObserverCalls', check);
}

/** Call `edited` after each edit of a text, until the signals of `owner` are cleared. */
export function onEdit(
  { sharedModel }: Pick<CodeEditor.IModel, 'sharedModel'>,
  edited: (steps: readonly IStep[]) => void,
  owner: object
): void {
  const changed = (_: unknown, { sourceChange }: { sourceChange?: IStep[] }): void => {
    if (sourceChange) {
      edited(sourceChange);
    }
  };
  sharedModel.changed.connect(changed, owner);
}

/** Return whether another user has the cursor in the text of a notebook's cell. */
export function hasOtherCursor(sharedModel: CodeEditor.IModel['sharedModel']): boolean {
  const { awareness, ysource } = sharedModel as Partial<IYText>;
  const own = ysource?._item?.id;
  const isHere = (cursor: ICursor | null): boolean => {
    const type = cursor?.anchor?.type;
    return !!own && type?.client === own.client && type.clock === own.clock;
  };
  const states: Map<number, IAwarenessState> = awareness?.getStates() ?? new Map<number, IAwarenessState>();
  const self = awareness && states.get(awareness.clientID)?.user?.username;
  return [...states].some(
    ([client, { user, cursors }]) =>
      client !== awareness?.clientID &&
      (!self || user?.username !== self) &&
      Array.isArray(cursors) &&
      (cursors as (ICursor | null)[]).some(isHere)
  );
}

/** Call `edited` with the text of an editor after each edit by another user, before JupyterLab calls the providers. */
export function followOthers(editor: CodeEditor.IEditor, edited: (text: string) => void): void {
  const { sharedModel } = editor.model;
  const stop = followEdits(sharedModel, origin => {
    if (editor.isDisposed) {
      stop();
    } else if (origin === 'other user') {
      edited(sharedModel.getSource());
    }
  });
}
