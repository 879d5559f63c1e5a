import { YNotebook } from '@jupyter/ydoc';
import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EditFollower, SETTLE } from './edits';

class TestElement {
  readonly tag = 'div';
}

class NotebookPanel {
  content = { activeCell: null as unknown };
}
vi.mock('@jupyterlab/notebook', () => ({
  get NotebookPanel() {
    return NotebookPanel;
  }
}));

describe('EditFollower', () => {
  let log: string[];
  let edits: EditFollower;
  let cells: ReturnType<typeof cellOf>[];
  let focus: (index: number) => void;

  /** A cell with the editor of a user. */
  function cellOf(sharedModel: YNotebook['cells'][number]) {
    const selections = { changed: new Signal<object, void>({}) };
    const cell = {
      isDisposed: false,
      node: new TestElement(),
      model: { type: 'code', sharedModel },
      editor: {
        host: { contains: (target: unknown) => target === cell.node },
        model: { selections },
        line: 0,
        composing: false,
        get editor() {
          return { composing: this.composing };
        },
        getCursorPosition: () => ({ line: cell.editor.line, column: 0 })
      },
      /** Insert text, as CodeMirror does. */
      type: (at: number, text: string) =>
        sharedModel.ymodel.doc?.transact(() => sharedModel.ysource.insert(at, text), 'CodeMirror'),
      /** Move the cursor, as typing does, too. */
      place: (line: number) => {
        cell.editor.line = line;
        selections.changed.emit();
      },
      move: (line: number) => {
        cell.place(line);
        vi.advanceTimersByTime(0);
      }
    };
    return cell;
  }

  beforeEach(() => {
    vi.useFakeTimers();
    let listener: (event: object) => void = () => undefined;
    vi.stubGlobal('Element', TestElement);
    vi.stubGlobal('document', {
      addEventListener: (_: string, called: typeof listener) => (listener = called)
    });
    const notebook = YNotebook.create({ disableDocumentWideUndoRedo: true });
    notebook.insertCells(
      0,
      ['a\nb', 'c'].map(source => ({ cell_type: 'code', source }))
    );
    cells = notebook.cells.map(cellOf);
    const panel = new NotebookPanel();
    edits = new EditFollower({ widget: panel } as never);
    focus = index => {
      panel.content.activeCell = cells[index];
      listener({ target: cells[index].node });
    };
    log = [];
    edits.edited.connect((_, { isOffered }) => log.push(isOffered ? 'offered' : 'edited'));
    edits.undone.connect(() => log.push('undone'));
    edits.refocused.connect(() => log.push('refocused'));
    edits.settled.connect((_, { cell, settled }) =>
      log.push(`${settled} -> ${cell.model.sharedModel.getSource()}`)
    );
    focus(0);
  });

  it('settles after a pause', () => {
    cells[0].type(1, '2');
    vi.advanceTimersByTime(SETTLE - 1);
    cells[0].type(2, '3');
    vi.advanceTimersByTime(SETTLE - 1);
    expect(log).toEqual(['edited', 'edited']);
    vi.advanceTimersByTime(1);
    expect(log.at(-1)).toBe('a\nb -> a23\nb');
    focus(0);
    expect(log.at(-1)).toBe('refocused');
  });

  it('settles when the cursor leaves the line or the cell', () => {
    cells[0].type(1, '2');
    cells[0].move(0);
    expect(log).toEqual(['edited']);
    cells[0].move(1);
    expect(log.at(-1)).toBe('a\nb -> a2\nb');
    cells[0].type(4, '3');
    focus(1);
    expect(log.slice(2)).toEqual(['edited', 'a\nb -> a2\nb3']);
    cells[0].type(0, '#');
    expect(log.length).toBe(4);
  });

  it('does not settle when the cursor moves before the text that is typed on another line', () => {
    cells[0].type(1, '2');
    vi.advanceTimersByTime(SETTLE);
    cells[0].place(1);
    cells[0].type(4, '3');
    vi.advanceTimersByTime(SETTLE - 1);
    expect(log).toEqual(['edited', 'a\nb -> a2\nb', 'edited']);
    vi.advanceTimersByTime(1);
    expect(log.at(-1)).toBe('a\nb -> a2\nb3');
  });

  it('waits for an input method', () => {
    cells[0].editor.composing = true;
    cells[0].type(1, '2');
    vi.advanceTimersByTime(SETTLE);
    expect(log).toEqual(['edited']);
    cells[0].editor.composing = false;
    vi.advanceTimersByTime(SETTLE);
    expect(log.length).toBe(2);
  });

  it('counts accepted completions as edits of the user, but not replaced texts and undone edits', () => {
    const { sharedModel } = cells[0].model;
    sharedModel.updateSource(0, 1, 'all');
    vi.advanceTimersByTime(SETTLE);
    expect(log).toEqual(['edited', 'a\nb -> all\nb']);
    sharedModel.setSource('c\nb');
    vi.advanceTimersByTime(SETTLE);
    expect(log.slice(2)).toEqual(['edited', 'c\nb -> c\nb']);
    sharedModel.undo();
    vi.advanceTimersByTime(SETTLE);
    const source = sharedModel.getSource();
    expect(log.slice(4)).toEqual(['edited', 'undone', `${source} -> ${source}`]);
  });

  it('does not count an applied offer as an edit of the user', () => {
    const { sharedModel } = cells[0].model;
    edits.apply(() => {
      sharedModel.updateSource(0, 1, 'all');
      sharedModel.undo();
      sharedModel.redo();
      return true;
    });
    vi.advanceTimersByTime(SETTLE);
    cells[0].type(0, 'x');
    vi.advanceTimersByTime(SETTLE);
    expect(log).toEqual(['offered', 'offered', 'offered', 'edited', 'all\nb -> xall\nb']);
  });
});
