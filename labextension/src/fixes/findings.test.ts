import { EditorState, type TransactionSpec } from '@codemirror/state';
import { type DecorationSet, EditorView } from '@codemirror/view';
import { beforeEach, describe, expect, it } from 'vitest';
import type { IFinding } from '../wire';
import { showMarks } from './findings';

const SOURCE = '"😀"; totel\nprint(valeu)\nlast';

describe('showMarks', () => {
  const view = {
    state: EditorState.create({ doc: SOURCE }),
    dispatch: (change: TransactionSpec) => void (view.state = view.state.update(change).state)
  };

  const show = (findings: object[]) =>
    showMarks({ editor: view } as never, findings as IFinding[], () => ({}) as HTMLElement);
  const finding = (start: number, end: number) => ({ start, end, message: '', fixes: [] });

  /** Return the marked texts. */
  function marked(): string[] {
    const found: string[] = [];
    for (const set of view.state.facet(EditorView.decorations)) {
      (set as DecorationSet).between(0, view.state.doc.length, (from, to) => {
        found.push(view.state.sliceDoc(from, to));
      });
    }
    return found;
  }

  beforeEach(() => {
    view.state = EditorState.create({ doc: SOURCE });
    show([finding(5, 10), finding(17, 22)]);
  });

  it('marks positions in code points, and replaces the marks', () => {
    expect(marked()).toEqual(['totel', 'valeu']);
    show([finding(17, 22)]);
    expect(marked()).toEqual(['valeu']);
    show([]);
    expect(marked()).toEqual([]);
  });

  it('drops the marks in an edited line, and moves the others', () => {
    view.dispatch({ changes: { from: 0, insert: '# first\n' } });
    expect(marked()).toEqual(['valeu']);
    view.dispatch({ changes: { from: view.state.doc.length, insert: '()' } });
    expect(marked()).toEqual(['valeu']);
    const { to } = view.state.doc.line(3);
    view.dispatch({ changes: { from: to, insert: ' ' } });
    expect(marked()).toEqual([]);
  });

  it('leaves an editor without findings unchanged', () => {
    const { state } = (view.state = EditorState.create({ doc: SOURCE })) && view;
    show([]);
    expect(view.state).toBe(state);
    showMarks(null, [], () => ({}) as HTMLElement);
  });
});
