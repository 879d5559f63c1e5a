import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readGguf } from './gguf';
import { MODEL } from './testing/model';
import { STAND_IN, Vocabulary } from './vocabulary';

const vocabulary = new Vocabulary(readGguf(MODEL).values);

describe('Vocabulary', () => {
  it('has a token for each character that can be typed in ASCII', () => {
    const text = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)).join('') + '\t\n';
    expect(new Set(vocabulary.encode(text)).size).toBe(97);
    expect(vocabulary.decode(vocabulary.encode(text))).toBe(text);
  });

  it.each(['é', '\r', '\0', '\x7f', '😀', '\ud83d', '\udc00', '\u202e', '\ufeff', '\ue002'])(
    'has the stand-in for %j',
    character => {
      expect(vocabulary.decode(vocabulary.encode(`a${character}b`))).toBe(`a${STAND_IN}b`);
    }
  );

  it('counts code points, and makes no text a control token', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const ids = vocabulary.encode(text);
        expect(ids.length).toBe(Array.from(text).length);
        expect(vocabulary.decode(ids)).toBe(
          Array.from(text, character => (/^[\t\n\x20-\x7e]$/.test(character) ? character : STAND_IN)).join('')
        );
        expect(ids.every(id => !vocabulary.hidden.has(id) && id !== vocabulary.markers.end)).toBe(true);
      })
    );
  });

  it('ends a text with the end, and with what nobody could read; marks are never written', () => {
    const { prefix, suffix, middle, end } = vocabulary.markers;
    expect([...vocabulary.ends].sort()).toEqual([end, vocabulary.encode(STAND_IN)[0]].sort());
    expect([prefix, suffix, middle].every(id => vocabulary.hidden.has(id))).toBe(true);
    expect(vocabulary.hidden.has(end)).toBe(false);
    expect(vocabulary.decode([prefix, end, -1, 4000])).toBe('');
  });
});
