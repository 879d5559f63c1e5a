import { EditorState, type TransactionSpec } from '@codemirror/state';
import { type DecorationSet, EditorView, showTooltip, type Tooltip } from '@codemirror/view';
import { beforeEach, describe, expect, it } from 'vitest';
import { showMarks } from './findings';

const SOURCE = '"😀"; totel\nprint(valeu)\nlast';

describe('showMarks', () => {
  let ghost: unknown;
  const view = {
    state: EditorState.create({ doc: SOURCE }),
    hasFocus: false,
    dom: { querySelector: () => ghost },
    dispatch: (change: TransactionSpec) => void (view.state = view.state.update(change).state)
  };

  const finding = (start: number, end: number) => ({ start, end });
  const show = (findings: ReturnType<typeof finding>[], source = SOURCE, isTyping = false) =>
    showMarks({ editor: view } as never, source, findings, () => ({}) as HTMLElement, isTyping);

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
    Object.assign(view, { hasFocus: false });
    ghost = null;
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
    expect(showMarks(null, '', [], () => ({}) as HTMLElement)).toEqual([]);
  });

  it('marks nothing in another text, and nothing outside of the text', () => {
    show([finding(17, 22)], SOURCE.replaceAll('\n', '\r\n'));
    expect(marked()).toEqual([]);
    show([finding(17, 22), finding(40, 90), finding(90, 95), finding(6, 6), finding(5, 10)]);
    expect(marked()).toEqual(['totel', 'valeu']);
    view.dispatch({ changes: { from: 0, insert: '#' } });
    expect(marked()).toEqual(['valeu']);
  });

  describe('with the cursor in the editor', () => {
    const [first, second] = [finding(5, 10), finding(17, 22)];

    beforeEach(() => {
      show([]);
      view.hasFocus = true;
    });

    it.each([
      ['in a name', 8, ['valeu']],
      ['at its start', 6, ['valeu']],
      ['at its end', 11, ['valeu']],
      ['beside it', 5, ['totel', 'valeu']]
    ])('holds back a finding at the cursor: %s', (_, anchor, expected) => {
      view.dispatch({ selection: { anchor } });
      expect(show([first, second])).toEqual(expected.length === 1 ? [first] : []);
      expect(marked()).toEqual(expected);
    });

    it('holds back the line of the cursor while the user types, or is suggested a text', () => {
      expect(show([first, second], SOURCE, true)).toEqual([first]);
      expect(marked()).toEqual(['valeu']);
      expect(show([first, second])).toEqual([]);
      show([]);
      ghost = { closest: () => ({}) };
      expect(show([first, second])).toEqual([first]);
    });

    it('keeps a mark into which the cursor has moved', () => {
      show([first, second]);
      view.dispatch({ selection: { anchor: 8 } });
      expect(show([first, second], SOURCE, true)).toEqual([]);
      expect(marked()).toEqual(['totel', 'valeu']);
    });

    it('holds back nothing without the focus', () => {
      view.dispatch({ selection: { anchor: 8 } });
      view.hasFocus = false;
      expect(show([first], SOURCE, true)).toEqual([]);
    });
  });

  it('has a tooltip at the cursor while the editor has the focus', () => {
    const tooltips = () => view.state.facet(showTooltip).filter((tooltip): tooltip is Tooltip => !!tooltip);
    const focus = (isFocused: boolean) => {
      const effects = view.state.facet(EditorView.focusChangeEffect).map(one => one(view.state, isFocused));
      view.dispatch({ effects: effects.filter(effect => effect !== null) });
    };
    view.dispatch({ selection: { anchor: 8 } });
    expect(tooltips()).toEqual([]);
    focus(true);
    expect(tooltips().map(({ pos, end }) => [pos, end])).toEqual([[6, 11]]);
    view.dispatch({ selection: { anchor: 0 } });
    expect(tooltips()).toEqual([]);
    view.dispatch({ selection: { anchor: 8 } });
    focus(false);
    expect(tooltips()).toEqual([]);
  });
});
