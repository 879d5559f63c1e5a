/** Asking without the person: on a new line, after text was composed, when the server can be asked again. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import { placeOf } from './editor';

const TRAILING_BLANK_LINE = /\n[ \t]*$/;

export interface IOptions {
  delay?: number;
  /** The person asked for it earlier: it counts as theirs. */
  invoked?: boolean;
  /** Only on a line that holds nothing yet. */
  blank?: boolean;
}

export class SelfTrigger {
  /** `invoke` has JupyterLab ask its providers, which it does at once. */
  constructor(private readonly _invoke: () => void) {}

  /** Ask in an editor, unless its text changes meanwhile or it loses the focus. */
  askSoon(editor: CodeEditor.IEditor, { delay = 0, invoked = false, blank = false }: IOptions = {}): void {
    const { text } = placeOf(editor);
    setTimeout(() => {
      if (editor.isDisposed || !editor.hasFocus()) {
        return;
      }
      const place = placeOf(editor);
      const head = place.text.slice(0, place.offset);
      const wanted = !blank || (TRAILING_BLANK_LINE.test(head) && head.trim() !== '');
      if (place.text === text && wanted) {
        this._selfTriggered = !invoked;
        this._invoke();
        this._selfTriggered = false;
      }
    }, delay);
  }

  /** Whether what JupyterLab asks now was not asked by the person; what it asks next is. */
  take(): boolean {
    const selfTriggered = this._selfTriggered;
    this._selfTriggered = false;
    return selfTriggered;
  }

  private _selfTriggered = false;
}
