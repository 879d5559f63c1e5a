/** Access to an editor: text, cursors, input methods, changes, undo steps. */

import { EditorView } from '@codemirror/view';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { CodeMirrorEditor } from '@jupyterlab/codemirror';
import type { IInsertion } from './imports';
import type { IPosition } from './suggestion';

function viewOf(editor: CodeEditor.IEditor): EditorView | undefined {
  return (editor as Partial<CodeMirrorEditor>).editor;
}

/** Return the text and the cursor position of an editor. */
export function positionOf(editor: CodeEditor.IEditor): IPosition {
  return {
    text: editor.model.sharedModel.getSource(),
    offset: editor.getOffsetAt(editor.getCursorPosition())
  };
}

/** Set the cursor of an editor, if there is one, to an offset. */
export function setCursor(
  editor: CodeEditor.IEditor | null,
  offset: number,
  options?: { scroll: boolean }
): void {
  const position = editor?.getPositionAt(offset);
  if (position) {
    editor?.setCursorPosition(position, options);
  }
}

/** Return whether an editor still has this text and cursor position. */
export function isAt(editor: CodeEditor.IEditor, position: IPosition): boolean {
  if (editor.isDisposed) {
    return false;
  }
  const now = positionOf(editor);
  return now.text === position.text && now.offset === position.offset;
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
  const dom = viewOf(editor)?.contentDOM as ({ editContext?: EventTarget } & EventTarget) | undefined;
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

/** Type keys at the cursor: the editor closes brackets and quotes if the user has that on. */
export function typeKeys(editor: CodeEditor.IEditor, keys: string): void {
  const view = viewOf(editor);
  if (!view) {
    return;
  }
  for (const key of keys) {
    const { from, to } = view.state.selection.main;
    const insert = () =>
      view.state.update({
        changes: { from, to, insert: key },
        selection: { anchor: from + key.length },
        userEvent: 'input.type',
        scrollIntoView: true
      });
    if (!view.state.facet(EditorView.inputHandler).some(handle => handle(view, from, to, key, insert))) {
      view.dispatch(insert());
    }
  }
}

/** The width in characters of ghost text beside the cursor that is scrolled into view. */
const REVEALED = 40;
/** Pixels that CodeMirror keeps between the cursor and the edge of an editor. */
const MARGIN = 5;

/** Ghost text, and the editor's line that contains it. */
export interface IGhost {
  text: Element;
  line: Element;
  scroller: Element;
  characterWidth: number;
  cursor(): CodeEditor.ICoordinate | null;
}

function cursorOf(editor: CodeEditor.IEditor): CodeEditor.ICoordinate | null {
  return editor.getCoordinateForPosition(editor.getCursorPosition());
}

/** Return the ghost text of an editor, or null. */
export function ghostIn(editor: CodeEditor.IEditor): IGhost | null {
  const view = viewOf(editor);
  const text = view?.dom.querySelector(
    '.jp-GhostText:not(.jp-GhostText-lineSpacer, .jp-GhostText-letterSpacer)'
  );
  const line = text?.closest('.cm-line');
  if (!view || !text || !line) {
    return null;
  }
  const { scrollDOM: scroller, defaultCharacterWidth: characterWidth } = view;
  return { text, line, scroller, characterWidth, cursor: () => cursorOf(editor) };
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

/** The horizontal scroll positions of editors before ghost text was scrolled into view. */
const scrolledFrom = new WeakMap<Element, number>();

/** Return the right edge of the visible part of an editor. */
function endOf(scroller: Element): number {
  return scroller.getBoundingClientRect().left + scroller.clientLeft + scroller.clientWidth;
}

/** Scroll ghost text and the note under it into view if the cursor is visible and stays so. */
export function revealGhost({ text, line, scroller, characterWidth, ...ghost }: IGhost): void {
  for (const { box, top, bottom } of scrollersOf(line)) {
    const cursor = ghost.cursor();
    if (!cursor || cursor.top < top || cursor.bottom > bottom) {
      return;
    }
    const hidden = line.getBoundingClientRect().bottom - bottom;
    box.scrollTop += Math.max(0, Math.min(Math.ceil(hidden), Math.floor(cursor.top - top)));
  }
  const first = text.getClientRects()[0]; // of the first line of the text
  if (!first) {
    return; // the editor is hidden
  }
  const { left, right } = first;
  const { scrollLeft } = scroller;
  const start = line.getBoundingClientRect().left + scrollLeft; // beside the line numbers
  const end = endOf(scroller);
  const most = Math.min(REVEALED * characterWidth, (end - start) * 0.75); // code before the cursor stays visible
  const hidden = Math.ceil(Math.min(right, left + most) - end);
  if (hidden > 0 && left >= start && left <= end) {
    scrolledFrom.set(scroller, scrolledFrom.get(scroller) ?? scrollLeft);
    scroller.scrollLeft += hidden;
  }
}

/** Scroll an editor back once its ghost text has disappeared, as far as the cursor stays visible. */
export function scrollBack(editor: CodeEditor.IEditor): void {
  const view = editor.isDisposed ? undefined : viewOf(editor);
  if (!view) {
    return;
  }
  const box = view.scrollDOM;
  const from = scrolledFrom.get(box);
  const cursor = from !== undefined && cursorOf(editor);
  scrolledFrom.delete(box);
  if (cursor) {
    const least = box.scrollLeft + Math.ceil(cursor.right + MARGIN - endOf(box));
    box.scrollLeft = Math.min(box.scrollLeft, Math.max(from, least));
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
  const shared = editor?.model.sharedModel as { undoManager?: { stopCapturing(): void } | null } | undefined;
  shared?.undoManager?.stopCapturing();
  change();
  shared?.undoManager?.stopCapturing();
}
