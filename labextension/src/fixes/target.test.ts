import { createStandaloneCell, YNotebook } from '@jupyter/ydoc';
import type { ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { IEdit } from '../wire';
import { JointUndo } from './jointundo';
import { type OfferEdits, targetOf } from './target';

const cellOf = (source: string) => ({ sharedModel: createStandaloneCell({ cell_type: 'code', source }) });
const edit = (cell: number, start: number, old: string, text: string): IEdit => ({
  cell,
  start,
  end: start + old.length,
  old,
  text
});

describe('targetOf', () => {
  let cells: ReturnType<typeof cellOf>[];
  let onConflict: number;

  beforeEach(() => {
    cells = [cellOf('old = 1'), cellOf('print("😀", old)\nold')];
    onConflict = 0;
  });

  const target = (edits: IEdit[], readOnly = false) => {
    const widgets = cells.map(model => ({ model, readOnly }));
    const panel = { content: { widgets } } as unknown as NotebookPanel;
    return targetOf(panel, cells as never, edits, () => onConflict++);
  };
  const sources = () => cells.map(({ sharedModel }) => sharedModel.getSource());
  const RENAMED = [edit(0, 0, 'old', 'new'), edit(1, 11, 'old', 'newer'), edit(1, 16, 'old', 'n')];

  it('applies all edits as one undo step', async () => {
    cells[1].sharedModel.updateSource(0, 0, '  ');
    cells[1].sharedModel.updateSource(0, 2, '');
    expect(target(RENAMED)?.apply([])).not.toBeNull();
    expect(sources()).toEqual(['new = 1', 'print("😀", newer)\nn']);
    cells[1].sharedModel.undo();
    await Promise.resolve();
    expect(sources()).toEqual(['old = 1', 'print("😀", old)\nold']);
    expect(onConflict).toBe(0);
  });

  describe('with an edit of the user', () => {
    let own: ReturnType<typeof cellOf>;
    const change = { start: 3, old: 'old', name: 'other' };
    const text = () => own.sharedModel.getSource();
    const apply = (before: string, after = text()) =>
      target(RENAMED)?.apply([own as never], { model: own as never, before, after, change });

    beforeEach(() => {
      own = cellOf('😀 ');
      own.sharedModel.undoManager?.stopCapturing();
      for (const part of ['old = 0', '+ 1']) {
        own.sharedModel.updateSource(text().length, text().length, part);
        own.sharedModel.undoManager?.stopCapturing();
      }
      own.sharedModel.updateSource(3, 6, 'o');
      own.sharedModel.undoManager?.stopCapturing();
      own.sharedModel.updateSource(4, 4, 'ther');
    });

    it('undoes and redoes that edit, too', async () => {
      expect(apply('😀 old = 0+ 1')).not.toBeNull();
      const renamed = ['new = 1', 'print("😀", newer)\nn'];
      expect([text(), ...sources()]).toEqual(['😀 other = 0+ 1', ...renamed]);
      own.sharedModel.undo();
      await Promise.resolve();
      expect([text(), ...sources()]).toEqual(['😀 old = 0+ 1', 'old = 1', 'print("😀", old)\nold']);
      cells[1].sharedModel.redo();
      await Promise.resolve();
      expect([text(), ...sources()]).toEqual(['😀 other = 0+ 1', ...renamed]);
      cells[1].sharedModel.undo();
      await Promise.resolve();
      own.sharedModel.undo();
      expect(text()).toBe('😀 old = 0');
    });

    it('keeps a later change of the cell, also when it is undone', () => {
      const after = text();
      own.sharedModel.undoManager?.stopCapturing();
      own.sharedModel.updateSource(0, 0, 'import os\n');
      const applied = apply('😀 old = 0+ 1', after);
      expect(applied?.undo()).toBeNull();
      expect([text(), ...sources()]).toEqual([`import os\n${after}`, 'old = 1', 'print("😀", old)\nold']);
    });

    it('keeps an earlier change of several cells, with an edit that is not the last one', async () => {
      const third = cellOf('old');
      new JointUndo([own, third] as never, () => {
        own.sharedModel.updateSource(0, 0, '😀 ');
        third.sharedModel.updateSource(0, 3, 'new');
      });
      own.sharedModel.updateSource(0, 3, '');
      expect(apply('unknown')).not.toBeNull();
      await Promise.resolve();
      expect(text()).toBe('😀 other = 0+ 1');
      expect(third.sharedModel.getSource()).toBe('new');
    });

    it('keeps an edit that is not the last one', async () => {
      expect(apply('unknown')).not.toBeNull();
      expect(text()).toBe('😀 other = 0+ 1');
      own.sharedModel.undo();
      await Promise.resolve();
      expect([text(), ...sources()]).toEqual(['😀 other = 0+ 1', 'old = 1', 'print("😀", old)\nold']);
      own.sharedModel.undo();
      expect(text()).toBe('😀 o = 0+ 1');
    });
  });

  it('is also undone in the cell of the offer, but adds no step to a deleted cell', async () => {
    const [offered, deleted] = [cellOf('f()'), cellOf('')];
    cells.push(offered);
    target(RENAMED)?.apply([offered, deleted] as never);
    expect(deleted.sharedModel.canUndo()).toBe(false);
    offered.sharedModel.undo();
    await Promise.resolve();
    expect(sources()).toEqual(['old = 1', 'print("😀", old)\nold', 'f()']);
  });

  it('is null if a text differs, a cell is missing or read-only', () => {
    expect(target([edit(0, 1, 'old', 'new')])).toBeNull();
    expect(target([edit(2, 0, 'old', 'new')])).toBeNull();
    expect(target(RENAMED, true)).toBeNull();
  });

  it('has the cells that have become read-only', () => {
    const widgets = cells.map(model => ({ model, readOnly: false }));
    const panel = { content: { widgets } } as unknown as NotebookPanel;
    const renamed = targetOf(panel, cells as never, RENAMED, () => onConflict++);
    expect(renamed?.locked).toEqual([]);
    widgets[1].readOnly = true;
    expect(renamed?.locked).toEqual([cells[1]]);
    expect(renamed?.omitLocked()).toEqual([cells[1]]);
    expect(renamed?.apply([])).not.toBeNull();
    expect(sources()).toEqual(['new = 1', 'print("😀", old)\nold']);
  });

  it('follows edits of other text in its cells', () => {
    const renamed = target(RENAMED);
    cells[0].sharedModel.updateSource(7, 7, '0');
    cells[1].sharedModel.updateSource(0, 0, '# first\n');
    expect(renamed?.apply([])).not.toBeNull();
    expect(sources()).toEqual(['new = 10', '# first\nprint("😀", newer)\nn']);
  });

  it('reports once that an edit has touched its text', () => {
    target(RENAMED);
    cells[1].sharedModel.updateSource(12, 13, '');
    cells[1].sharedModel.updateSource(12, 13, '');
    expect(onConflict).toBe(1);
  });

  it('refuses to apply to another text, and changes nothing', () => {
    const renamed = target(RENAMED);
    renamed?.release();
    cells[1].sharedModel.setSource('other');
    expect(renamed?.apply([])).toBeNull();
    expect(sources()).toEqual(['old = 1', 'other']);
  });
});

describe('applyNext', () => {
  const sourceOf = ({ sharedModel }: ICellModel) => sharedModel.getSource();
  let conflicts: number;
  /** the new texts that are shown for each cell */
  let shown: Map<ICellModel['sharedModel'], Set<string>>;

  beforeEach(() => void (conflicts = 0));

  const show = (target: OfferEdits | null) => {
    const edits = Array.from(target?.edits ?? []);
    shown = new Map(
      edits.map(([model, texts]) => [model.sharedModel, new Set(texts.map(({ text }) => text))])
    );
  };

  /** The occurrences of `edits` in a notebook. */
  function open(sources: string[], edits: IEdit[]) {
    const notebook = YNotebook.create({ disableDocumentWideUndoRedo: true });
    notebook.insertCells(
      0,
      sources.map(source => ({ cell_type: 'code', source }))
    );
    const models = notebook.cells.map(sharedModel => ({ sharedModel }) as unknown as ICellModel);
    const panel = { content: { widgets: models.map(model => ({ model, readOnly: false })) } };
    const onConflict = () => {
      conflicts++;
      show(target);
    };
    const target = targetOf(panel as unknown as NotebookPanel, models, edits, onConflict, true);
    show(target);
    return { notebook, models, target };
  }

  it('changes one occurrence after the other, each as an undo step', async () => {
    const { models, target } = open(
      ['old, old', 'old'],
      [edit(0, 5, 'old', 'newer'), edit(0, 0, 'old', 'newer'), edit(1, 0, 'old', 'newer')]
    );
    const seen = [];
    for (; target?.next; seen.push(models.map(sourceOf))) {
      expect(target.applyNext([])).not.toBeNull();
    }
    expect(seen).toEqual([
      ['old, newer', 'old'],
      ['newer, newer', 'old'],
      ['newer, newer', 'newer']
    ]);
    expect([conflicts, target?.length]).toEqual([0, 0]);
    models[0].sharedModel.undo();
    await Promise.resolve();
    expect(models.map(sourceOf)).toEqual(['old, newer', 'newer']);
  });

  it('inserts at each occurrence once', () => {
    const { models, target } = open(['f(a)\nf(b)'], [edit(0, 3, '', ', x'), edit(0, 8, '', ', x')]);
    target?.applyNext([]);
    target?.applyNext([]);
    expect(models.map(sourceOf)).toEqual(['f(a, x)\nf(b, x)']);
    expect(target?.next).toBeNull();
  });

  it('drops only the occurrences that an edit touches, and those of deleted cells', () => {
    const edits = [0, 1, 2].map(cell => edit(cell, 0, 'old', 'new'));
    const { notebook, models, target } = open(['old', 'old', 'old'], edits);
    models[0].sharedModel.updateSource(1, 2, '');
    expect([conflicts, target?.length]).toEqual([1, 2]);
    notebook.deleteCell(1);
    expect([conflicts, target?.length]).toEqual([2, 1]);
    target?.applyNext([]);
    expect(sourceOf(models[2])).toBe('new');
  });

  it('drops the occurrences on a line that an edit touches', () => {
    const edits = [edit(0, 3, 'old', 'new'), edit(0, 10, 'old', 'new')];
    const { models, target } = open(['df.old\ndf.old'], edits);
    models[0].sharedModel.updateSource(0, 0, '# comment\n');
    expect([conflicts, target?.length]).toEqual([0, 2]);
    models[0].sharedModel.updateSource(10, 12, 'other');
    expect([conflicts, target?.length]).toEqual([1, 1]);
    target?.applyNext([]);
    expect(sourceOf(models[0])).toBe('# comment\nother.old\ndf.new');
  });

  it('omits occurrences that cannot be changed', () => {
    const edits = [edit(0, 0, 'old', 'new'), edit(1, 0, 'old', 'new'), edit(9, 0, 'old', 'new')];
    expect(open(['else', 'old'], edits).target?.length).toBe(1);
    expect(open(['else'], edits).target).toBeNull();
  });

  it('never changes an occurrence that was not shown, whatever happens to the cells of a large notebook', () => {
    const kinds = ['insert', 'delete', 'move', 'split', 'merge', 'edit', 'edit', 'replace', 'undo', 'next'];
    const operation = fc.record({
      kind: fc.constantFrom(...kinds),
      cell: fc.oneof(fc.constantFrom(...PLACES), fc.nat(299)),
      other: fc.nat(299),
      at: fc.nat(40),
      count: fc.nat(6),
      text: fc.constantFrom('', 'x', 'old0', '\n', '😀')
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), fc.boolean(), (operations, isForAll) => {
        const sources = Array.from({ length: 300 }, (_, cell) => `old${cell} = 1\nprint(old${cell})`);
        const edits = PLACES.flatMap(cell =>
          [sources[cell].lastIndexOf('old'), 0].map(start => edit(cell, start, `old${cell}`, `new${cell}`))
        );
        const { notebook, target } = open(sources, edits);
        operations.forEach(each => operate(notebook, target, each));
        applyShown(notebook, target, isForAll);
      }),
      { numRuns: 25 }
    );
  });

  const PLACES = [0, 1, 7, 150, 298, 299];

  interface IOperation {
    kind: string;
    cell: number;
    other: number;
    at: number;
    count: number;
    text: string;
  }

  /** Change a notebook as a user does. */
  function operate(notebook: YNotebook, target: OfferEdits | null, operation: IOperation): void {
    const { kind, at, count, text } = operation;
    const near = (index: number): number => Math.min(index, notebook.cells.length - 1);
    const index = near(operation.cell);
    const cell = notebook.cells[index];
    const source = cell.getSource();
    const start = Math.min(at, source.length);
    const insert = (source: string): void => void notebook.insertCell(index, { cell_type: 'code', source });
    switch (kind) {
      case 'insert':
        insert(source);
        break;
      case 'delete':
        notebook.deleteCell(index);
        break;
      case 'move':
        notebook.moveCell(index, near(operation.other));
        break;
      case 'split':
        notebook.transact(() => {
          insert(source.slice(0, start));
          cell.setSource(source.slice(start));
        });
        break;
      case 'merge': {
        const merged = `${source}\n${notebook.cells[near(index + 1)].getSource()}`;
        notebook.transact(() => {
          notebook.deleteCellRange(index, near(index + 1) + 1);
          insert(merged);
        });
        break;
      }
      case 'edit':
        cell.updateSource(start, Math.min(start + count, source.length), text);
        break;
      case 'replace':
        cell.setSource(text + source);
        break;
      case 'undo':
        cell.undo();
        break;
      default:
        applyShown(notebook, target, false);
    }
  }

  /** Apply one occurrence or all, and compare all cells with the occurrences that were shown. */
  function applyShown(notebook: YNotebook, target: OfferEdits | null, isForAll: boolean): void {
    const before = new Map(notebook.cells.map(cell => [cell, cell.getSource()]));
    const count = target?.length ?? 0;
    const next = target?.next;
    const applied = isForAll ? target?.apply([]) : target?.applyNext([]);
    expect(!!applied || count === 0).toBe(true);
    let changes = 0;
    for (const cell of notebook.cells) {
      const [source, now] = [before.get(cell) ?? '', cell.getSource()];
      const isShown = shown.has(cell) && (isForAll || next?.[0].sharedModel === cell);
      expect(now === source || isShown).toBe(true);
      expect(now.replace(/new/g, 'old')).toBe(source.replace(/new/g, 'old'));
      for (const text of shown.get(cell) ?? []) {
        changes += now.split(text).length - source.split(text).length;
      }
    }
    expect(changes).toBe(isForAll ? count : Math.min(count, 1));
    show(target);
  }
});
