import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changedLines, firstLine, isCurrent, moved, movedPosition, replacementOf } from './replacements';

const edit = (start: number, end: number, old: string, text: string) => ({ cell: 0, start, end, old, text });

describe('replacementOf', () => {
  it('counts code points', () => {
    const source = 's = "😀"; revenu';
    const found = replacementOf(source, edit(9, 15, 'revenu', 'revenue'));
    expect(found).toEqual({ start: 10, end: 16, old: 'revenu', text: 'revenue' });
  });

  it('is null if the text differs', () => {
    expect(replacementOf('abc', edit(0, 2, 'xx', 'y'))).toBeNull();
    expect(replacementOf('abc', edit(2, 9, 'cde', 'y'))).toBeNull();
  });
});

describe('moved', () => {
  const word = { start: 4, end: 8, old: 'word', text: 'term' };

  it.each([
    [[{ insert: 'xy' }], 6],
    [[{ retain: 1 }, { delete: 2 }], 2],
    [[{ retain: 9 }, { insert: 'x' }], 4],
    [[{ retain: 9 }, { delete: 1 }], 4],
    [[{ insert: 'x' }, { retain: 1 }, { delete: 1 }], 4],
    [[{ retain: 8 }, { insert: '\n    ' }], 4],
    [[{ retain: 4 }, { insert: '#\n' }], 6]
  ])('follows the edit %j', (steps, start) => {
    expect(moved(word, steps)?.start).toBe(start);
  });

  it.each([
    [[{ retain: 5 }, { insert: 'x' }]],
    [[{ retain: 8 }, { insert: 's' }]],
    [[{ retain: 4 }, { insert: 's' }]],
    [[{ retain: 2 }, { delete: 3 }]],
    [[{ retain: 7 }, { delete: 5 }]],
    [[{ delete: 12 }]]
  ])('is null if the edit %j touches the text', steps => {
    expect(moved(word, steps)).toBeNull();
  });

  it('keeps the replaced text at its position', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.nat(20),
        fc.nat(5),
        fc.string(),
        (before, after, at, count, insert) => {
          const source = `${before}word${after}`;
          const retain = Math.min(at, source.length);
          const deleted = Math.min(count, source.length - retain);
          const edited = source.slice(0, retain) + insert + source.slice(retain + deleted);
          const steps = [{ retain }, { insert }, { delete: deleted }];
          const result = moved({ ...word, start: before.length, end: before.length + 4 }, steps);
          expect(result === null || isCurrent(edited, result)).toBe(true);
        }
      )
    );
  });
});

describe('changedLines', () => {
  const shown = (source: string, ...edits: [number, number, string][]) =>
    changedLines(
      source,
      edits.map(([start, end, text]) => ({ start, end, old: source.slice(start, end), text }))
    ).map(({ before, after }) =>
      [before, after].map(lines =>
        lines.map(segments => segments.map(({ text, changed }) => (changed ? `<${text}>` : text)).join(''))
      )
    );

  it('shows the lines of each edit', () => {
    expect(shown('a\nprint(old)\nb\nold', [8, 11, 'new'], [15, 18, 'new'])).toEqual([
      [['print(<old>)'], ['print(<new>)']],
      [['<old>'], ['<new>']]
    ]);
  });

  it('shows the edits of a line together', () => {
    expect(shown('old + old', [6, 9, 'new'], [0, 3, 'new'])).toEqual([
      [['<old> + <old>'], ['<new> + <new>']]
    ]);
  });

  it('shows only what is added behind a text, or removed', () => {
    expect(shown('f(x)', [2, 3, 'x, y=1'])).toEqual([[['f(x)'], ['f(x<, y=1>)']]]);
    expect(shown('f(x, y=1)', [2, 8, 'x'])).toEqual([[['f(x<, y=1>)'], ['f(x)']]]);
    expect(shown('f(x)', [2, 3, 'x2'])).toEqual([[['f(<x>)'], ['f(<x2>)']]]);
  });

  it('shows an inserted line alone', () => {
    expect(shown('x = np.pi', [0, 0, 'import numpy as np\n'])).toEqual([[[], ['<import numpy as np>']]]);
  });

  it('shows an edit of several lines', () => {
    expect(shown('if a\n  b', [4, 4, ':'])).toEqual([[['if a'], ['if a<:>']]]);
    expect(shown('\na(\nb)', [3, 5, '\n  b'])).toEqual([
      [
        ['a(', '<b>)'],
        ['a(', '<  b>)']
      ]
    ]);
  });
});

describe('movedPosition', () => {
  it('keeps a position behind the same text', () => {
    const replacements = [replacementOf('old = old', edit(0, 3, 'old', 'newer'))].flatMap(one => one ?? []);
    expect([0, 3, 9].map(position => movedPosition(position, replacements))).toEqual([0, 5, 11]);
  });
});

describe('firstLine', () => {
  it.each([
    ['x = 1', 'x = 1'],
    ['\n  x = 1\n\n', 'x = 1'],
    ['x = 1\ny = 2', 'x = 1 …'],
    ['x = "ab"', 'x = "ab"'],
    ['x = "abc"', 'x = "abc …'],
    ['😀😀😀😀😀😀😀😀😀', '😀😀😀😀😀😀😀😀 …'],
    ['', '']
  ])('of %j is %j', (source, expected) => {
    expect(firstLine(source, 8)).toBe(expected);
  });
});
