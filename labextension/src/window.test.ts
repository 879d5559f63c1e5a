import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CELL_LIMIT, chooseWindow, codePoints, TOTAL_LIMIT, wellFormed } from './window';
import type { ICell } from './wire';

const cells =
  (sources: string[]) =>
  (index: number): ICell => ({
    id: String(index),
    type: 'code',
    source: sources[index],
    executed: null
  });

const bytes = (text: string) => new TextEncoder().encode(text).length;

describe('the window', () => {
  it('holds a small notebook whole, in order', () => {
    const chosen = chooseWindow(3, cells(['a', 'b', 'c']), 1, 1);
    expect(chosen.cells.map(cell => cell.source)).toEqual(['a', 'b', 'c']);
    expect([chosen.active, chosen.offset]).toEqual([1, 1]);
  });

  it('leaves out empty cells but keeps the active one', () => {
    const chosen = chooseWindow(3, cells(['', '', ' ']), 1, 0);
    expect(chosen.cells.map(cell => cell.id)).toEqual(['1']);
  });

  it('splits no character if the cursor is in the middle of one', () => {
    const { cells: chosen, offset } = chooseWindow(1, cells(['a🎈b']), 0, 2);
    expect(wellFormed(chosen[0].source)).toBe(chosen[0].source);
    expect(offset).toBeLessThanOrEqual(codePoints(chosen[0].source));
  });

  it('keeps the nearest of a notebook of 20 MB and stays within its bounds', () => {
    const sources = Array.from({ length: 2000 }, (_, index) => `# ${index}\n${'x'.repeat(10_000)}`);
    const chosen = chooseWindow(sources.length, cells(sources), 1000, 3);
    const ids = chosen.cells.map(cell => Number(cell.id));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(Math.abs(ids[0] - 1000)).toBeLessThan(20);
    expect(chosen.cells.reduce((sum, cell) => sum + bytes(cell.source), 0)).toBeLessThan(TOTAL_LIMIT);
  });

  it('keeps the end of a long cell above and the beginning of one below', () => {
    const long = `BEGIN${'é'.repeat(50_000)}END`;
    const chosen = chooseWindow(3, cells([long, 'x', long]), 1, 0);
    expect(chosen.cells[0].source.endsWith('END')).toBe(true);
    expect(chosen.cells[2].source.startsWith('BEGIN')).toBe(true);
    for (const cell of chosen.cells) {
      expect(bytes(cell.source)).toBeLessThanOrEqual(CELL_LIMIT);
    }
  });

  it('always has the cursor where it was', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (sources, n) => {
          const active = n % sources.length;
          const offset = n % (sources[active].length + 1);
          fc.pre(!/^[\udc00-\udfff]/.test(sources[active].slice(offset)));
          const chosen = chooseWindow(sources.length, cells(sources), active, offset);
          const before = Array.from(chosen.cells[chosen.active].source).slice(0, chosen.offset).join('');
          expect(before).toBe(wellFormed(sources[active].slice(0, offset)));
          expect(JSON.stringify(chosen)).not.toMatch(/\\ud[89a-f]/i);
        }
      )
    );
  });
});

describe('characters', () => {
  it('are counted as the server counts them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(codePoints(text)).toBe(Array.from(text).length);
      })
    );
  });

  it('that are half a pair are replaced', () => {
    expect(wellFormed('a\ud800b\udc00c🎈')).toBe('a\ufffdb\ufffdc🎈');
  });
});
