import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importsInto, insertInto, neededFor } from './imports';

const cases = JSON.parse(readFileSync('../tests/data/imports.json', 'utf8')) as {
  source: string;
  with: string;
}[];

describe('import lines', () => {
  it.each(cases)('go where the server would put them: $source', ({ source, with: whole }) => {
    const insertion = importsInto(source, ['import y']);
    expect(insertion ? insertInto(source, insertion) : source).toBe(whole);
  });

  it('are needed by the part that uses their name', () => {
    const lines = ['import seaborn as sns', 'import os.path', 'from pathlib import Path'];
    expect(neededFor(lines, 'sns.heatmap(x)')).toEqual([lines[0]]);
    expect(neededFor(lines, 'Path(os.sep)')).toEqual([lines[1], lines[2]]);
    expect(neededFor(lines, 'x.sns(snse, os_, _Path)')).toEqual([]);
  });
});
