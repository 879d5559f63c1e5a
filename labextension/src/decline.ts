/** Why nothing is suggested at a place. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IDocument } from './document';
import { hasSeveralCursors, isReadOnly } from './editor';
import { isPrivatePath } from './language';
import type { ISettings } from './settings';

/** Why nothing was shown to somebody who asked. */
export type Decline =
  | 'off'
  | 'snoozed'
  | 'language'
  | 'private'
  | 'read-only'
  | 'cursors'
  | 'selection'
  | 'unavailable'
  | 'nowhere'
  | 'nothing';

/** Why nothing is suggested in an editor, whoever asks; `null` where something may be. */
export function declineOf(
  editor: CodeEditor.IEditor,
  document: IDocument,
  settings: ISettings,
  snoozed: ReadonlySet<string>
): Decline | null {
  if (!settings.enabled) {
    return 'off';
  }
  if (snoozed.has(document.path)) {
    return 'snoozed';
  }
  if (isReadOnly(editor)) {
    return 'read-only';
  }
  if (settings.disabledLanguages.includes(document.here.toLowerCase())) {
    return 'language';
  }
  if (isPrivatePath(document.path)) {
    return 'private';
  }
  return hasSeveralCursors(editor) ? 'cursors' : null;
}
