/** Marks of findings in an editor: an underline, and a tooltip with the message. */

import { type EditorState, Prec, StateEffect, StateField } from '@codemirror/state';
import {
  Decoration,
  type DecorationSet,
  EditorView,
  hoverTooltip,
  showTooltip,
  type Tooltip
} from '@codemirror/view';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { CodeMirrorEditor } from '@jupyterlab/codemirror';
import { Text } from '@jupyterlab/coreutils';
import { ghostIn } from '../editor';
import type { IFinding } from '../wire';

type IRange = Pick<IFinding, 'start' | 'end'>;

const replaceAll = StateEffect.define<DecorationSet>();

/** The marks; an edit drops those in its lines. */
const field = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (marks, { changes, effects, startState: { doc } }) => {
    const isKept = (from: number, to: number): boolean =>
      !changes.touchesRange(doc.lineAt(from).from, doc.lineAt(to).to);
    const kept = changes.empty ? marks : marks.update({ filter: isKept }).map(changes);
    return effects.find(effect => effect.is(replaceAll))?.value ?? kept;
  },
  // Inside the marks of other extensions, where the style sheet hides it.
  provide: field => Prec.highest(EditorView.decorations.from(field))
});

/** Whether the editor has the focus: only then is there a tooltip at the cursor. */
const focus = StateEffect.define<boolean>();
const focused = StateField.define<boolean>({
  create: () => false,
  update: (isFocused, { effects }) => effects.find(effect => effect.is(focus))?.value ?? isFocused
});

function tooltipAt(state: EditorState, position: number): Tooltip | null {
  let found: Tooltip | null = null;
  state.field(field).between(position, position, (pos, end, { spec }) => {
    const { describe } = spec as { describe: () => HTMLElement };
    found = { pos, end, above: true, create: () => ({ dom: describe() }) };
  });
  return found;
}

const tooltips = [
  hoverTooltip(({ state }, position) => tooltipAt(state, position), { hideOnChange: true }),
  EditorView.focusChangeEffect.of((_, isFocused) => focus.of(isFocused)),
  showTooltip.compute([field, focused, 'selection'], state =>
    state.field(focused) ? tooltipAt(state, state.selection.main.head) : null
  )
];

/**
 * Replace the marks in an editor, unless they refer to another text than its own; `describe` returns the content of a
 * tooltip. Return the findings that are held back: those at the cursor, which may be unfinished, until it has left
 * them, and those in its line, while the user types there or is suggested a text.
 */
export function showMarks<T extends IRange>(
  editor: CodeEditor.IEditor | null,
  source: string,
  findings: readonly T[],
  describe: (finding: T) => HTMLElement,
  isTyping = false
): T[] {
  const view = (editor as CodeMirrorEditor | null)?.editor;
  const shown = view?.state.field(field, false);
  if (!editor || !view || (findings.length === 0 && !shown?.size)) {
    return [];
  }
  const { doc, selection } = view.state;
  const text = doc.toString(); // with other ends of lines than a source with \r\n
  const { head } = selection.main;
  const line = doc.lineAt(head);
  const isLineHeld = isTyping || ghostIn(editor) !== null;
  const isMarked = (start: number, end: number): boolean => {
    let isFound = false;
    shown?.between(start, end, (from, to) => void (isFound ||= from === start && to === end));
    return isFound;
  };
  const isHeld = (start: number, end: number): boolean => {
    const [from, to] = isLineHeld ? [line.from, line.to] : [head, head];
    return view.hasFocus && start <= to && end >= from && !isMarked(start, end);
  };
  const held: T[] = [];
  const ranges = (text === source ? findings : []).flatMap(finding => {
    const [start, end] = [finding.start, finding.end].map(index => Text.charIndexToJsIndex(index, text));
    const isValid = start < end && end <= text.length;
    if (isValid && isHeld(start, end)) {
      held.push(finding);
      return [];
    }
    const mark = { class: 'jp-Turbopilot-finding', describe: () => describe(finding) };
    return isValid ? [Decoration.mark(mark).range(start, end)] : [];
  });
  const set = Decoration.set(ranges, true);
  view.dispatch({
    effects: shown
      ? replaceAll.of(set)
      : StateEffect.appendConfig.of([field.init(() => set), focused.init(() => view.hasFocus), tooltips])
  });
  return held;
}
