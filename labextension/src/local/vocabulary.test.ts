import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CharacterVocabulary, CodePoints, MARKS, vocabularyOf } from './vocabulary';

describe('a vocabulary of code points', () => {
  it('has each text as it is, whatever characters it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const vocabulary = new CodePoints(false);
        const tokens = vocabulary.tokenize(text);
        expect(tokens.map(token => vocabulary.text(token)).join('')).toBe(text);
        expect(tokens.every(token => token < MARKS.prefix)).toBe(true);
      })
    );
  });

  it('has marks that are no text, where the model fills in the middle', () => {
    expect(new CodePoints(false).marks).toBeNull();
    const vocabulary = new CodePoints(true);
    expect(vocabulary.marks).toEqual(MARKS);
    expect(Object.values(MARKS).map(token => vocabulary.text(token as number))).toEqual(['', '', '']);
  });

  it.each([true, false])('arrives in the page as it was told (fills: %s)', fills => {
    expect(vocabularyOf({ ...new CodePoints(fills) })).toEqual(new CodePoints(fills));
  });
});

it('a vocabulary of characters arrives in the page as it was told', () => {
  const told = { texts: ['a', ''], marks: null, bos: null, standIn: 1 };
  expect(vocabularyOf(told)).toEqual(new CharacterVocabulary(['a', ''], null, null, 1));
});
