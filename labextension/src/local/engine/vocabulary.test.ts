import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readGguf } from './gguf';
import { MODEL } from '../testing/model';
import { STAND_IN, Vocabulary } from './vocabulary';

const vocabulary = new Vocabulary(readGguf(MODEL).values);
const textOf = (ids: readonly number[]): string => ids.map(id => vocabulary.text(id)).join('');

describe('Vocabulary', () => {
  it('has a token for each character that can be typed in ASCII', () => {
    const text = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)).join('') + '\t\n';
    expect(new Set(vocabulary.tokenize(text)).size).toBe(97);
    expect(textOf(vocabulary.tokenize(text))).toBe(text);
  });

  it('counts code points, and makes no text a control token', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const ids = vocabulary.tokenize(text);
        expect(ids.length).toBe(Array.from(text).length);
        expect(textOf(ids)).toBe(
          Array.from(text, character => (/^[\t\n\x20-\x7e]$/.test(character) ? character : STAND_IN)).join('')
        );
        expect(ids.every(id => !vocabulary.hidden.has(id) && vocabulary.text(id) !== '')).toBe(true);
      })
    );
  });

  it('ends a text at end and unknown tokens, and never generates markers', () => {
    const { prefix, suffix, middle } = vocabulary.marks;
    const [standIn] = vocabulary.tokenize(STAND_IN);
    const [end, ...others] = [...vocabulary.ends].filter(id => id !== standIn);
    expect(others).toEqual([]);
    expect([prefix, suffix, middle].every(id => vocabulary.hidden.has(id))).toBe(true);
    expect(vocabulary.hidden.has(end)).toBe(false);
    expect(textOf([prefix, end, -1, 4000])).toBe('');
  });
});
