/** Access to an editor: text, cursors, input methods, changes, undo steps. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IInsertion } from './imports';
import type { IPosition } from './suggestion';

/** What a CodeMirror view offers beyond JupyterLab's own interface of an editor. */
interface IView {
  dom: HTMLElement;
  scrollDOM: HTMLElement;
  composing: boolean;
  contentDOM: HTMLElement & { editContext?: EventTarget | null };
  dispatch(change: unknown): void;
}

interface IUndoManager {
  stopCapturing(): void;
}

function viewOf(editor: CodeEditor.IEditor): IView | undefined {
  return (editor as { editor?: IView }).editor;
}

/** Return the text and the cursor position of an editor. */
export function positionOf(editor: CodeEditor.IEditor): IPosition {
  return {
    text: editor.model.sharedModel.getSource(),
    offset: editor.getOffsetAt(editor.getCursorPosition())
  };
}

/** Return whether an editor still has this text and cursor position. */
export function isAt(editor: CodeEditor.IEditor, position: IPosition): boolean {
  if (editor.isDisposed) {
    return false;
  }
  const now = positionOf(editor);
  return now.text === position.text && now.offset === position.offset;
}

export function isReadOnly(editor: CodeEditor.IEditor): boolean {
  return editor.getOption('readOnly') === true;
}

export function hasSeveralCursors(editor: CodeEditor.IEditor): boolean {
  return editor.getSelections().length > 1;
}

export function hasSelectedText(editor: CodeEditor.IEditor): boolean {
  return editor
    .getSelections()
    .some(({ start, end }) => start.line !== end.line || start.column !== end.column);
}

/** Whether an input method is composing text in an editor. */
export function isComposing(editor: CodeEditor.IEditor): boolean {
  return viewOf(editor)?.composing === true;
}

/** Whether the keys of an editor are commands, as in the normal mode of jupyterlab-vim. */
export function isInCommandMode(editor: CodeEditor.IEditor): boolean {
  return Boolean(viewOf(editor)?.dom.querySelector('.cm-vimMode'));
}

/** Targets with a listener of `afterComposing`. */
const composingIn = new WeakSet<EventTarget>();

/** Call `then` once the input method has finished composing, unless a previous call waits for the same. */
export function afterComposing(editor: CodeEditor.IEditor, then: () => void): void {
  const dom = viewOf(editor)?.contentDOM;
  // An EditContext, which JupyterLab 4.4 and Chrome on Android use, sends its events to itself only.
  const target = dom?.editContext ?? dom;
  if (!target || composingIn.has(target)) {
    return;
  }
  composingIn.add(target);
  const ended = (): void => {
    composingIn.delete(target);
    then();
  };
  target.addEventListener('compositionend', ended, { once: true });
}

/** Whether the cursor is on a blank line below code. */
export function isOnBlankLine(editor: CodeEditor.IEditor): boolean {
  const { text, offset } = positionOf(editor);
  const before = text.slice(0, offset);
  return before.trim() !== '' && /\n[ \t]*$/.test(before);
}

/** Call `then` after a delay, unless the text changes or the editor loses the focus meanwhile. */
export function whenUnchanged(editor: CodeEditor.IEditor, delay: number, then: () => void): void {
  const { text } = positionOf(editor);
  setTimeout(() => {
    if (!editor.isDisposed && editor.hasFocus() && positionOf(editor).text === text) {
      then();
    }
  }, delay);
}

/** Call `moved` after the cursor has moved, and `newLine` when a line break has been inserted. */
export function follow(editor: CodeEditor.IEditor, moved: () => void, newLine: () => void): void {
  // Text and cursor may change together: defer until both have changed.
  editor.model.selections.changed.connect(() => void setTimeout(moved, 0));
  editor.model.sharedModel.changed.connect((_, change) => {
    const parts = (change as { sourceChange?: { insert?: unknown }[] }).sourceChange;
    if (parts?.some(part => typeof part.insert === 'string' && part.insert.includes('\n'))) {
      newLine();
    }
  });
}

/** Insert a completion at the cursor, and import lines above it, in one change. */
export function insertAtCursor(
  editor: CodeEditor.IEditor,
  text: string,
  above: IInsertion | null = null
): void {
  const from = editor.getOffsetAt(editor.getCursorPosition());
  const further = above ? [{ from: above.at, insert: above.text }] : [];
  viewOf(editor)?.dispatch({
    changes: [...further, { from, insert: text }],
    selection: { anchor: from + (above?.text.length ?? 0) + text.length },
    userEvent: 'input.complete',
    scrollIntoView: true
  });
}

/** Ghost text, and the editor's line that contains it. */
export interface IGhost {
  text: Element;
  line: Element;
  scroller: Element;
}

/** Return the ghost text of an editor, or null. */
export function ghostIn(editor: CodeEditor.IEditor): IGhost | null {
  const view = viewOf(editor);
  const text = view?.dom.querySelector(
    '.jp-GhostText:not(.jp-GhostText-lineSpacer, .jp-GhostText-letterSpacer)'
  );
  const line = text?.closest('.cm-line');
  return view && text && line ? { text, line, scroller: view.scrollDOM } : null;
}

/** Yield the visible range of each element that scrolls vertically around another, from the inside. */
function* scrollersOf({
  parentElement: box
}: Element): Generator<{ box: Element; top: number; bottom: number }> {
  for (; box; box = box.parentElement) {
    if (box.scrollHeight > box.clientHeight && /auto|scroll/.test(getComputedStyle(box).overflowY)) {
      const top = box.getBoundingClientRect().top + box.clientTop;
      yield { box, top, bottom: top + box.clientHeight };
    }
  }
}

/** Scroll ghost text and the note under it into view if the cursor is visible and stays so. */
export function revealGhost({ text, line }: IGhost): void {
  for (const { box, top, bottom } of scrollersOf(line)) {
    const [cursor] = text.getClientRects(); // the first line of the text begins at the cursor
    if (cursor.top < top || cursor.bottom > bottom) {
      return;
    }
    const hidden = line.getBoundingClientRect().bottom - bottom;
    box.scrollTop += Math.max(0, Math.min(Math.ceil(hidden), Math.floor(cursor.top - top)));
  }
}

/** Return whether the end of the line with ghost text is visible. */
export function isEndVisible({ line }: IGhost): boolean {
  const { bottom: end } = line.getBoundingClientRect();
  return [...scrollersOf(line)].every(({ top, bottom }) => end > top && end < bottom + 1);
}

/** Make a change as a separate undo step; keystrokes in quick succession share one. */
export function inOneUndoStep(
  editor: { model: { sharedModel: object } } | null | undefined,
  change: () => void
): void {
  const shared = editor?.model.sharedModel as { undoManager?: IUndoManager | null } | undefined;
  shared?.undoManager?.stopCapturing();
  change();
  shared?.undoManager?.stopCapturing();
}
