import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importsFor, importsInto, insertInto, neededFor } from './imports';

const cases = JSON.parse(readFileSync('../tests/data/imports.json', 'utf8')) as {
  source: string;
  with: string;
}[];

describe('importsFor and insertInto', () => {
  it.each(cases)('insert at the same position as the server: $source', ({ source, with: whole }) => {
    expect(insertInto(source, importsInto(source, ['import y']))).toBe(whole);
  });

  it('include the imports of all text of the suggestion so far', () => {
    const lines = ['import numpy as np', 'import os'];
    const position = { text: 'x = np.pi\ny = ', offset: 14 };
    expect(importsFor(position, '2', lines)).toBeNull();
    expect(importsFor(position, '2', lines, 0)).toEqual({ at: 0, text: 'import numpy as np\n' });
  });

  it('use the indentation of the cell after the insertion', () => {
    expect(importsFor({ text: '  ', offset: 2 }, 'os.x', ['import os'])).toEqual({
      at: 0,
      text: '  import os\n'
    });
  });

  it('select the lines whose names the part uses', () => {
    const lines = ['import seaborn as sns', 'import os.path', 'from pathlib import Path'];
    expect(neededFor(lines, 'sns.heatmap(x)')).toEqual([lines[0]]);
    expect(neededFor(lines, 'Path(os.sep)')).toEqual([lines[1], lines[2]]);
    expect(neededFor(lines, 'x.sns(snse, os_, _Path)')).toEqual([]);
  });
});
