import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CharacterVocabulary } from './vocabulary';

const TEXTS = ['', 'a', 'b', '?'];
const vocabulary = new CharacterVocabulary({
  texts: TEXTS,
  marks: { prefix: 0, suffix: 0, middle: 0 },
  standIn: 3
});

describe('a vocabulary of characters', () => {
  it('has a token for each code point, with the stand-in for those that it lacks', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const tokens = vocabulary.tokenize(text);
        expect(tokens.map(token => vocabulary.text(token)).join('')).toBe(
          Array.from(text, character => ('ab?'.includes(character) ? character : '?')).join('')
        );
      })
    );
  });

  it('has no text for marks and for tokens that there are not', () => {
    expect([0, 9].map(token => vocabulary.text(token))).toEqual(['', '']);
  });
});
