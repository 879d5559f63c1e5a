import { YNotebook } from '@jupyter/ydoc';
import type { ICellModel } from '@jupyterlab/cells';
import { beforeEach, describe, expect, it } from 'vitest';
import type { UndoManager } from 'yjs';
import { type IStepped, JointUndo } from './jointundo';

describe('JointUndo', () => {
  let notebook: YNotebook;
  let models: ICellModel[];
  let applied: JointUndo;
  let stepped: IStepped[];

  /** Change `old` to `new` in the first two cells, after an edit of each; the others share the step. */
  function change(disableDocumentWideUndoRedo = true, others: string[] = []) {
    notebook = YNotebook.create({ disableDocumentWideUndoRedo });
    notebook.insertCells(
      0,
      ['old = 1', 'old', ...others].map(source => ({ cell_type: 'code', source }))
    );
    models = notebook.cells.map(sharedModel => ({ sharedModel }) as unknown as ICellModel);
    models.forEach(({ sharedModel }) => sharedModel.updateSource(0, 0, ' '));
    const changed = models.slice(0, 2);
    applied = new JointUndo(
      changed,
      () => changed.forEach(({ sharedModel }) => sharedModel.updateSource(1, 4, 'new')),
      [...models.slice(2), ...models]
    );
    stepped = [];
    applied.stepped.connect((_, event) => stepped.push(event));
  }

  const sources = () => notebook.cells.map(cell => cell.getSource());
  /** Undo or redo in one cell, as the user does. */
  const step = async (index: number, kind: 'undo' | 'redo') => {
    models[index].sharedModel[kind]();
    await Promise.resolve();
  };

  beforeEach(() => change());

  it.each([0, 1])('undoes and redoes the change in all cells from cell %d', async index => {
    for (let round = 0; round < 2; round++) {
      expect(sources()).toEqual([' new = 1', ' new']);
      await step(index, 'undo');
      expect(sources()).toEqual([' old = 1', ' old']);
      await step(1 - index, 'redo');
    }
    expect(sources()).toEqual([' new = 1', ' new']);
    expect(stepped.map(({ step }) => step)).toEqual(['undo', 'redo', 'undo', 'redo']);
    expect(stepped.every(({ changed }) => changed === null)).toBe(true);
  });

  it('restores the selection only in the cell in which the user undoes it', async () => {
    const restored: unknown[][] = models.map(() => []);
    models.forEach(({ sharedModel }, index) => {
      const { undoManager } = sharedModel as unknown as { undoManager: UndoManager };
      undoManager.undoStack.at(-1)?.meta.set('selection', index);
      undoManager.on('stack-item-popped', ({ stackItem }) =>
        restored[index].push(stackItem.meta.get('selection'))
      );
    });
    await step(1, 'undo');
    expect(restored).toEqual([[undefined], [1]]);
  });

  it('undoes later edits of a cell first, and keeps older ones', async () => {
    models[1].sharedModel.updateSource(4, 4, '()');
    await step(1, 'undo');
    expect(sources()).toEqual([' new = 1', ' new']);
    await step(1, 'undo');
    expect(sources()).toEqual([' old = 1', ' old']);
    await step(1, 'undo');
    expect(sources()).toEqual([' old = 1', 'old']);
  });

  it('changes nothing if another cell has changed, and then only its own cell', async () => {
    models[1].sharedModel.updateSource(4, 4, '()');
    await step(0, 'undo');
    expect(sources()).toEqual([' new = 1', ' new()']);
    expect(stepped).toEqual([{ step: 'undo', changed: models[1] }]);
    await step(0, 'undo');
    expect(sources()).toEqual([' old = 1', ' new()']);
    await step(0, 'undo');
    expect(sources()).toEqual(['old = 1', ' new()']);
    expect(stepped.length).toBe(1);
  });

  it('redoes nothing if another cell has changed since the change was undone', async () => {
    await step(0, 'undo');
    models[1].sharedModel.updateSource(4, 4, '()');
    await step(0, 'redo');
    expect(sources()).toEqual([' old = 1', ' old()']);
    expect(stepped.at(-1)).toEqual({ step: 'redo', changed: models[1] });
  });

  it('counts edits of other users and deleted cells as changes', async () => {
    notebook.ydoc.transact(() => models[1].sharedModel.setSource('theirs'), 'another user');
    await step(0, 'undo');
    expect(sources()).toEqual([' new = 1', 'theirs']);
    change();
    notebook.deleteCell(1);
    await step(0, 'undo');
    expect(sources()).toEqual([' new = 1']);
  });

  it('is undone by a button, unless a cell has changed', () => {
    expect(applied.undo()).toBeNull();
    expect(sources()).toEqual([' old = 1', ' old']);
    expect(applied.undo()).toBeNull();
    expect(sources()).toEqual([' old = 1', ' old']);
    models.forEach(({ sharedModel }) => sharedModel.redo());
    change();
    models[0].sharedModel.updateSource(0, 0, '#');
    expect(applied.undo()).toBe(models[0]);
    expect(sources()).toEqual(['# new = 1', ' new']);
    expect(stepped).toEqual([]);
  });

  it('is also undone and redone in cells that it does not change, before their own edits', async () => {
    change(true, ['']);
    for (let round = 0; round < 2; round++) {
      await step(2, 'undo');
      expect(sources()).toEqual([' old = 1', ' old', ' ']);
      await step(2 * round, 'redo');
      expect(sources()).toEqual([' new = 1', ' new', ' ']);
    }
    applied.undo();
    await step(2, 'undo');
    expect(sources()).toEqual([' old = 1', ' old', '']);
  });

  it('does not depend on later edits of cells that it does not change', async () => {
    change(true, ['']);
    models[2].sharedModel.updateSource(1, 1, 'x');
    await step(1, 'undo');
    expect(sources()).toEqual([' old = 1', ' old', ' x']);
    await step(2, 'undo');
    await step(2, 'undo');
    expect(sources()).toEqual([' old = 1', ' old', ' ']);
    await step(2, 'undo');
    expect(sources()).toEqual([' old = 1', ' old', '']);
    expect(stepped).toEqual([{ step: 'undo', changed: null }]);
  });

  it('is undone in no cell if one has changed, and then the edits of a cell that it does not change', async () => {
    change(true, ['']);
    models[1].sharedModel.updateSource(4, 4, '()');
    await step(2, 'undo');
    expect(sources()).toEqual([' new = 1', ' new()', ' ']);
    expect(stepped).toEqual([{ step: 'undo', changed: models[1] }]);
    await step(2, 'undo');
    expect(sources()).toEqual([' new = 1', ' new()', '']);
  });

  it('is one step in the history of the whole document', async () => {
    change(false, ['']);
    await step(0, 'undo');
    expect(sources()).toEqual([' old = 1', ' old', ' ']);
    await step(1, 'redo');
    expect(sources()).toEqual([' new = 1', ' new', ' ']);
    models[2].sharedModel.updateSource(0, 1, '');
    expect(applied.undo()).toBe(models[1]);
  });
});
