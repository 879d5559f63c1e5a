import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importsFor, importsInto, insertInto, neededFor } from './imports';

const cases = JSON.parse(readFileSync('../tests/data/imports.json', 'utf8')) as {
  source: string;
  with: string;
}[];

describe('import lines', () => {
  it.each(cases)('go where the server would put them: $source', ({ source, with: whole }) => {
    expect(insertInto(source, importsInto(source, ['import y']))).toBe(whole);
  });

  it('are those that the accepted text, including earlier parts, needs', () => {
    const lines = ['import numpy as np', 'import os'];
    const place = { text: 'x = np.pi\ny = ', offset: 14 };
    expect(importsFor(place, '2', lines)).toBeNull();
    expect(importsFor(place, '2', lines, 0)).toEqual({ at: 0, text: 'import numpy as np\n' });
  });

  it('are indented as what is taken makes the cell', () => {
    expect(importsFor({ text: '  ', offset: 2 }, 'os.x', ['import os'])).toEqual({
      at: 0,
      text: '  import os\n'
    });
  });

  it('are needed by the part that uses their name', () => {
    const lines = ['import seaborn as sns', 'import os.path', 'from pathlib import Path'];
    expect(neededFor(lines, 'sns.heatmap(x)')).toEqual([lines[0]]);
    expect(neededFor(lines, 'Path(os.sep)')).toEqual([lines[1], lines[2]]);
    expect(neededFor(lines, 'x.sns(snse, os_, _Path)')).toEqual([]);
  });
});
