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

  it('applies all edits, as one undo step in each cell', () => {
    cells[1].sharedModel.updateSource(0, 0, '  ');
    cells[1].sharedModel.updateSource(0, 2, '');
    expect(target(RENAMED)?.apply()).toBe(true);
    expect(sources()).toEqual(['new = 1', 'print("😀", newer)\nn']);
    cells[1].sharedModel.undo();
    expect(sources()).toEqual(['new = 1', 'print("😀", old)\nold']);
    expect(onConflict).toBe(0);
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
    expect(renamed?.apply()).toBe(true);
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
    expect(renamed?.apply()).toBe(false);
    expect(sources()).toEqual(['old = 1', 'other']);
  });
});
