/** Marks of findings in an editor: an underline, and a tooltip with the message. */

import { Prec, StateEffect, StateField } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, hoverTooltip, type Tooltip } from '@codemirror/view';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { CodeMirrorEditor } from '@jupyterlab/codemirror';
import { Text } from '@jupyterlab/coreutils';
import type { IFinding } from '../wire';

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

const tooltip = hoverTooltip(
  ({ state }, position) => {
    let found: Tooltip | null = null;
    state.field(field).between(position, position, (pos, end, { spec }) => {
      const { describe } = spec as { describe: () => HTMLElement };
      found = { pos, end, above: true, create: () => ({ dom: describe() }) };
    });
    return found;
  },
  { hideOnChange: true }
);

/** Replace the marks in an editor; `describe` returns the content of a tooltip. */
export function showMarks(
  editor: CodeEditor.IEditor | null,
  findings: readonly IFinding[],
  describe: (finding: IFinding) => HTMLElement
): void {
  const view = (editor as CodeMirrorEditor | null)?.editor;
  const shown = view?.state.field(field, false);
  if (!view || (findings.length === 0 && !shown?.size)) {
    return;
  }
  const source = view.state.doc.toString();
  const marks = findings.map(finding => {
    const [start, end] = [finding.start, finding.end].map(index => Text.charIndexToJsIndex(index, source));
    const spec = { class: 'jp-Turbopilot-finding', describe: () => describe(finding) };
    return Decoration.mark(spec).range(start, end);
  });
  const set = Decoration.set(marks);
  view.dispatch({
    effects: shown ? replaceAll.of(set) : StateEffect.appendConfig.of([field.init(() => set), tooltip])
  });
}
