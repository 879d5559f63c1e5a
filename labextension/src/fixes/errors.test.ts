import { describe, expect, it } from 'vitest';
import { byteLength } from '../window';
import { readError } from './errors';

describe('readError', () => {
  it('removes colors and splits the traceback into lines', () => {
    const traceback = ['\x1b[31m----\x1b[39m', 'Cell \x1b[0;32mIn[3], line 1\x1b[0m\n----> 1 <module> x'];
    expect(readError({ ename: 'NameError', evalue: "\x1b[1mname 'x'\x1b[0m", traceback })).toEqual({
      name: 'NameError',
      message: "name 'x'",
      traceback: ['----', 'Cell In[3], line 1', '----> 1 <module> x']
    });
  });

  it.each([
    [
      ['<div class="a"><pre>if a &lt; b:', '<b>c</b></pre></div>'],
      ['if a < b:', 'c']
    ],
    [['if a <b and c> d:'], ['if a <b and c> d:']]
  ])('removes HTML from a traceback in HTML only: %j', (traceback, expected) => {
    expect(readError({ ename: 'E', evalue: '', traceback })?.traceback).toEqual(expected);
  });

  it.each([undefined, null, '', 3])('is null without a name: %j', ename => {
    expect(readError({ ename, evalue: 'a', traceback: [] })).toBeNull();
  });

  it('accepts an error without message and traceback', () => {
    expect(readError({ ename: 'E', evalue: undefined, traceback: [3] })).toEqual({
      name: 'E',
      message: '',
      traceback: []
    });
  });

  it('cuts a long traceback to its beginning and its end', () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => `${index} ${'é'.repeat(40)}`);
    const read = readError({ ename: 'E', evalue: 'm'.repeat(1e6), traceback: [lines.join('\n')] });
    const kept = read?.traceback ?? [];
    expect([kept[0], kept.at(-1)]).toEqual([lines[0], lines.at(-1)]);
    expect(kept.length).toBeLessThanOrEqual(2048);
    expect(kept.reduce((sum, line) => sum + byteLength(line), 0)).toBeLessThanOrEqual(64 * 1024);
    expect(read?.message.length).toBe(8192);
  });

  it('cuts a long line without splitting a character', () => {
    const [line] =
      readError({ ename: 'E', evalue: '', traceback: [`a${'😀'.repeat(5000)}`] })?.traceback ?? [];
    expect(line).toBe(`a${'😀'.repeat(2047)}\ufffd`);
  });
});
