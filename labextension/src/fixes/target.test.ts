import { createStandaloneCell } from '@jupyter/ydoc';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { beforeEach, describe, expect, it } from 'vitest';
import type { IEdit } from '../wire';
import { targetOf } from './target';

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
    expect(target(RENAMED)?.apply()).not.toBeNull();
    expect(sources()).toEqual(['new = 1', 'print("😀", newer)\nn']);
    cells[1].sharedModel.undo();
    await Promise.resolve();
    expect(sources()).toEqual(['old = 1', 'print("😀", old)\nold']);
    expect(onConflict).toBe(0);
  });

  describe('with an edit of the user', () => {
    let own: ReturnType<typeof cellOf>;
    const change = { start: 3, old: 'old', name: 'other' };
    const apply = (before: string) => target(RENAMED)?.apply({ model: own as never, before, change });
    const text = () => own.sharedModel.getSource();

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

  it('is null if a text differs, a cell is missing or read-only', () => {
    expect(target([edit(0, 1, 'old', 'new')])).toBeNull();
    expect(target([edit(2, 0, 'old', 'new')])).toBeNull();
    expect(target(RENAMED, true)).toBeNull();
  });

  it('follows edits of other text in its cells', () => {
    const renamed = target(RENAMED);
    cells[0].sharedModel.updateSource(7, 7, '0');
    cells[1].sharedModel.updateSource(0, 0, '# first\n');
    expect(renamed?.apply()).not.toBeNull();
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
    expect(renamed?.apply()).toBeNull();
    expect(sources()).toEqual(['old = 1', 'other']);
  });
});
