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
import type { IFinding } from '../wire';

/** A finding; `describe` returns the content of its tooltip. */
export interface IMark extends Pick<IFinding, 'start' | 'end'> {
  describe: () => HTMLElement;
}

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
    const { describe } = spec as IMark;
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

/** Replace the marks in an editor, unless they refer to another text than its own. */
export function showMarks(editor: CodeEditor.IEditor | null, source: string, marks: readonly IMark[]): void {
  const view = (editor as CodeMirrorEditor | null)?.editor;
  const shown = view?.state.field(field, false);
  if (!view || (marks.length === 0 && !shown?.size)) {
    return;
  }
  const text = view.state.doc.toString(); // with other ends of lines than a source with \r\n
  const ranges = (text === source ? marks : []).flatMap(({ describe, ...mark }) => {
    const [start, end] = [mark.start, mark.end].map(index => Text.charIndexToJsIndex(index, text));
    const isValid = start < end && end <= text.length;
    return isValid ? [Decoration.mark({ class: 'jp-Turbopilot-finding', describe }).range(start, end)] : [];
  });
  const set = Decoration.set(ranges, true);
  view.dispatch({
    effects: shown
      ? replaceAll.of(set)
      : StateEffect.appendConfig.of([field.init(() => set), focused.init(() => view.hasFocus), tooltips])
  });
}
