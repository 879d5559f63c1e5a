import { describe, expect, it, vi } from 'vitest';

vi.mock('@jupyterlab/console', () => ({ ConsolePanel: vi.fn() }));
vi.mock('@jupyterlab/notebook', () => ({ NotebookPanel: vi.fn() }));

import { byteLength } from '../window';
import type { IFixCell } from '../wire';
import { fitCells, MOST_BYTES, MOST_CELLS } from './notebook';

const cell = (source: string, type: IFixCell['type'] = 'code'): IFixCell => ({
  id: 'a',
  type,
  source,
  execution_count: 1,
  changed: false
});
const LARGE = 'x'.repeat(MOST_BYTES / 2);
const sources = (cells: IFixCell[], first: number) =>
  fitCells(cells, first)?.map(({ source }) => source?.[0] ?? null);

describe('fitCells', () => {
  it('sends all code cells whole, and no text of others', () => {
    const cells = [cell('a'), cell('b', 'markdown'), cell('c')];
    expect(fitCells(cells, 2)).toEqual([cells[0], { ...cells[1], source: null }, cells[2]]);
  });

  it('keeps the failed cell, then those above, then those below', () => {
    expect(sources([cell(LARGE), cell('b'), cell('c'), cell(LARGE)], 1)).toEqual(['x', 'b', 'c', null]);
    expect(sources([cell(LARGE), cell('b'), cell('c'), cell(LARGE)], 3)).toEqual([null, 'b', 'c', 'x']);
  });

  it('is null if the failed cell does not fit, or there are too many cells', () => {
    expect(fitCells([cell(LARGE + LARGE)], 0)).toBeNull();
    expect(fitCells([cell(LARGE)], 0, MOST_BYTES / 2)).toBeNull();
    expect(
      fitCells(
        Array.from({ length: MOST_CELLS + 1 }, () => cell('a')),
        0
      )
    ).toBeNull();
  });

  it('stays below the limit of the server when all texts are escaped', () => {
    const cells = Array.from({ length: 100 }, () => cell('"\n😀'.repeat(3000)));
    expect(byteLength(JSON.stringify(fitCells(cells, 50)))).toBeLessThanOrEqual(MOST_BYTES);
  });

  it('replaces lone surrogates', () => {
    expect(fitCells([cell('a\ud800b')], 0)?.[0].source).toBe('a\ufffdb');
  });
});
