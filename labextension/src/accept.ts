/** Taking a suggestion: all of it, a word, a line; each one step to undo. */

import type { InlineCompleter } from '@jupyterlab/completer';
import type { Completers } from './completers';
import { inOneUndoStep, insertAtCursor } from './editor';
import { firstLine, firstWord } from './suggestion';

const ACTIVE = '.jp-mod-inline-completer-active:not(.jp-mod-completer-active)';

export class Acceptor {
  /**
   * `accepted` is told how much is taken of what one of the `identifiers` suggested; what it returns is called when
   * that stands before the cursor.
   */
  constructor(
    private readonly _completers: Completers,
    private readonly _identifiers: string[],
    private readonly _accepted: (text: string) => () => void
  ) {
    _completers.created.connect((_, completer) => {
      const accept = completer.accept.bind(completer);
      completer.accept = () =>
        inOneUndoStep(completer.editor, () => {
          const taken = this._report(completer, completer.current?.insertText ?? '');
          accept();
          taken();
        });
    });
  }

  /** Whether there is grey text around an element that can be taken. */
  canTakeIn(target: Element): boolean {
    return target.closest(ACTIVE) !== null && this._completers.active !== undefined;
  }

  acceptWord(): void {
    this._acceptPart(firstWord);
  }

  acceptLine(): void {
    this._acceptPart(firstLine);
  }

  private _acceptPart(part: (text: string) => string): void {
    const completer = this._completers.active;
    const editor = completer?.editor;
    const text = completer?.current?.insertText;
    if (!completer || !editor || !text) {
      return;
    }
    const taken = part(text);
    if (taken === text) {
      completer.accept();
      return;
    }
    inOneUndoStep(editor, () => {
      const stands = this._report(completer, taken);
      insertAtCursor(editor, taken);
      stands();
    });
  }

  private _report(completer: InlineCompleter, text: string): () => void {
    const provider = completer.current?.provider.identifier;
    return provider && this._identifiers.includes(provider) ? this._accepted(text) : () => undefined;
  }
}
