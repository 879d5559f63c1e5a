/** Accept a suggestion, its next word or its next line, with the imports that it needs, as one undo step. */

import type { CompletionHandler, IInlineCompletionItem, InlineCompleter } from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import type { Completers } from './completers';
import { inOneUndoStep, insertAtCursor, positionOf, typeKeys } from './editor';
import { type IInsertion, importsFor } from './imports';

const ACTIVE = '.jp-mod-inline-completer-active:not(.jp-mod-completer-active)';

/** An item for the completer, with fields that it ignores. */
export type ISuggestedItem = IInlineCompletionItem & {
  imports?: readonly string[];
  /** The number of characters at the end that are typed as keys. */
  opens?: number;
  /** Start of the line that the suggestion begins on; missing: of the cursor's line. */
  from?: number;
};

export class Acceptor {
  /**
   * `accepted` is called with the accepted text and its imports if one of the providers `identifiers` suggested it. The
   * callback that it returns is called after the insertion.
   */
  constructor(
    private readonly _completers: Completers,
    private readonly _identifiers: string[],
    private readonly _accepted: (text: string, imports: IInsertion | null) => () => void
  ) {
    _completers.created.connect((_, completer) => {
      const accept = completer.accept.bind(completer);
      completer.accept = () => {
        const { current, editor } = completer;
        if (!current || !editor || !this._isOwn(current)) {
          inOneUndoStep(editor, accept);
          return;
        }
        const text = current.insertText;
        const end = Math.max(0, text.length - ((current as ISuggestedItem).opens ?? 0));
        // JupyterLab's own would replace white space that was typed since the request, for which it sends none.
        this._take(completer, text, imports => {
          insertAtCursor(editor, text.slice(0, end), imports);
          typeKeys(editor, text.slice(end));
          completer.model?.reset();
        });
      };
    });
  }

  /** Emitted after a suggestion of these providers, or a part of it, has been inserted. */
  readonly accepted = new Signal<this, void>(this);

  /** Return whether the editor around an element shows ghost text. */
  canTakeIn(target: Element): boolean {
    return target.closest(ACTIVE) !== null && this._completers.active !== undefined;
  }

  /** Accept the part of the shown suggestion that a function returns. */
  acceptPart(part: (text: string) => string): void {
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
    this._take(completer, taken, imports => insertAtCursor(editor, taken, imports));
  }

  private _isOwn({ provider }: CompletionHandler.IInlineItem): boolean {
    return this._identifiers.includes(provider.identifier);
  }

  /** Accept a part of the shown suggestion; `insert` changes the document. */
  private _take(
    completer: InlineCompleter,
    text: string,
    insert: (imports: IInsertion | null) => void
  ): void {
    const { current, editor } = completer;
    inOneUndoStep(editor, () => {
      if (!current || !this._isOwn(current)) {
        insert(null);
        return;
      }
      const { imports = [], from } = current as ISuggestedItem;
      const above = editor ? importsFor(positionOf(editor), text, imports, from) : null;
      const stands = this._accepted(text, above);
      insert(above);
      stands();
      this.accepted.emit();
    });
  }
}
