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

  /** Change `old` to `new` in all cells, after an edit of each. */
  function change(disableDocumentWideUndoRedo = true) {
    notebook = YNotebook.create({ disableDocumentWideUndoRedo });
    notebook.insertCells(
      0,
      ['old = 1', 'old'].map(source => ({ cell_type: 'code', source }))
    );
    models = notebook.cells.map(sharedModel => ({ sharedModel }) as unknown as ICellModel);
    models.forEach(({ sharedModel }) => sharedModel.updateSource(0, 0, ' '));
    applied = new JointUndo(models, () =>
      models.forEach(({ sharedModel }) => sharedModel.updateSource(1, 4, 'new'))
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

  it('is one step in the history of the whole document', async () => {
    change(false);
    await step(0, 'undo');
    expect(sources()).toEqual([' old = 1', ' old']);
    await step(1, 'redo');
    expect(sources()).toEqual([' new = 1', ' new']);
  });
});
