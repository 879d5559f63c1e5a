import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstLine, firstWord, Suggestion } from './suggestion';

const at = (marked: string) => ({ text: marked.replace('|', ''), offset: marked.indexOf('|') });

function suggestion(marked: string, text: string, done = true): Suggestion {
  const made = new Suggestion(at(marked), text);
  if (done) {
    made.finish();
  }
  return made;
}

describe('the imports of a suggestion', () => {
  it('are those of the text received so far', () => {
    const made = new Suggestion(at('|'));
    made.grow('np.', ['import numpy as np']);
    expect(made.imports).toEqual(['import numpy as np']);
    made.grow('other', ['import other']);
    expect(made.imports).toEqual(['import numpy as np']);
  });

  it('move the remaining text and are inserted once', () => {
    const lines = ['import numpy as np', 'import os'];
    const made = suggestion('# x\ny = |', '', false);
    made.grow('np.mean(x) + os.n', lines);
    expect(made.from).toBe(4);
    made.moveAfter({ at: 0, text: 'import numpy as np\n' });
    expect(made.rest(at('import numpy as np\n# x\ny = np.|'))).toBe('mean(x) + os.n');
    expect(made.rest(at('# x\ny = np.|'))).toBeNull();
    expect(made.from).toBe(23);
    made.grow('np.mean(x) + os.name', lines);
    expect([made.imports, made.needs]).toEqual([['import os'], lines]);
  });
});

describe('the bracket and the quote at the end of a suggestion', () => {
  const opening = (marked: string) => {
    const made = new Suggestion(at(marked));
    made.grow('read("', [], 2);
    made.finish();
    return made;
  };

  it('are typed as keys, and closed by the editor', () => {
    const made = opening('x = |');
    expect(made.closers).toBe('")');
    expect(['read("', 'd("', '("', '"', ''].map(rest => made.opensIn(rest))).toEqual([2, 2, 2, 1, 0]);
    expect(suggestion('|', 'f(a').closers).toBe('');
  });

  it('stay in the rest after a bracket that the editor has closed', () => {
    expect(opening('f|').rest(at('f|'))).toBe('read("');
    expect(opening('f(|').rest(at('f(re|)'))).toBe('ad("');
  });
});

describe('the rest of a suggestion', () => {
  it.each(['x = 2|', 'x =|', 'y = |', 'x = |1', 'x = 1 + 2|3', '|x = '])('is null at %s', marked => {
    expect(suggestion('x = |', '1 + 2').rest(at(marked))).toBeNull();
  });

  it('is empty, not null, if the user types faster than it is generated', () => {
    expect(suggestion('x = |', '1', false).rest(at('x = 1 +|'))).toBe('');
  });

  it.each([
    ['x = |', false],
    ['x = 1 +|', false],
    ['x = 1 + 2|', true],
    ['x = 1 + 2 |', false],
    ['x = 1 + 2|)', false],
    ['x = 1 + |2', false]
  ])('isUsedUpAt %s: %s', (marked, usedUp) => {
    expect(suggestion('x = |', '1 + 2', false).isUsedUpAt(at(marked))).toBe(usedUp);
  });

  it('is not used up before any text is received', () => {
    expect(suggestion('x = |', '', false).isUsedUpAt(at('x = |'))).toBe(false);
  });

  it.each([
    // Without the brackets that the editor has closed after the cursor.
    ['f|', '(a, b)', 'f(|)', 'a, b'],
    ['d|', '["k"]', 'd["|"]', 'k'],
    // It ends before a bracket that the editor has already closed …
    ['f|', '(a).g', 'f(|)', 'a'],
    ['range|', '(2, int(n ** 0.5) + 1):', 'range(|)', '2, int(n ** 0.5) + 1'],
    ['df|', '["a\\"b"].mean()', 'df["|"]', 'a\\"b'],
    ['f|', '(")", x)', 'f(|)', '")", x'],
    ['f|', '(frame', 'f(|)', 'frame'],
    // … unless it opens the same again.
    ['df|', '["a"] + df["b"]', 'df[|]', '"a"] + df["b"'],
    ['f|', '(g(x), h(y))', 'f(g(|))', 'x), h(y'],
    ['d|', '["a"] + e["b"]', 'd["|"]', 'a"] + e["b'],
    // After a closing bracket that was typed over, and before existing text.
    ['f|', '(a).g', 'f(a)|', '.g'],
    ['f(|)', 'a, b', 'f(a|)', ', b']
  ])('for position %s and text %s at %s: %s', (position, text, marked, rest) => {
    expect(suggestion(position, text).rest(at(marked))).toBe(rest);
  });

  it('never shrinks while it grows, for any closed brackets', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'a()[]{}"\'\\') }),
        fc.constantFrom(')', ']', '"', '")'),
        (text, closed) => {
          const made = new Suggestion(at('|'));
          let shown = '';
          for (let length = 1; length <= text.length; length++) {
            made.grow(`(${text.slice(0, length)}`);
            const rest = made.rest({ text: `(${closed}`, offset: 1 }) ?? '';
            expect(rest.startsWith(shown)).toBe(true);
            shown = rest;
          }
        }
      )
    );
  });

  it('hasDropped reports a text that does not continue it', () => {
    const made = suggestion('x = |', '1 + 2', false);
    made.grow('1 + 2 + 3');
    made.grow('1 +');
    expect(made.hasDropped).toBe(false);
    made.grow('2');
    expect([made.hasDropped, made.text]).toEqual([true, '1 + 2 + 3']);
  });

  it('and the typed text always make up the whole', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.nat(), (before, after, text, count) => {
        const made = new Suggestion({ text: before + after, offset: before.length });
        made.grow(text);
        made.finish();
        const typed = text.slice(0, count % (text.length + 1));
        const position = { text: before + typed + after, offset: before.length + typed.length };
        expect(typed + (made.rest(position) ?? '')).toBe(text);
      })
    );
  });

  it('finished waits until it is done', async () => {
    const made = new Suggestion(at('|'));
    const log: string[] = [];
    const waiting = made.finished().then(() => log.push('finished'));
    const grown = made.changed().then(() => log.push('grown'));
    made.grow('a');
    await grown;
    log.push('more');
    made.finish();
    await waiting;
    expect(log).toEqual(['grown', 'more', 'finished']);
  });
});

describe('firstWord and firstLine', () => {
  it.each([
    ['a\nb', 'a'],
    ['\n    a\n    b', '\n    a'],
    ['a', 'a']
  ])('return the first line of %s', (text, line) => {
    expect(firstLine(text)).toBe(line);
  });

  it('return a non-empty prefix', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), text => {
        for (const part of [firstWord(text), firstLine(text)]) {
          expect(part.length).toBeGreaterThan(0);
          expect(text.startsWith(part)).toBe(true);
        }
      })
    );
  });
});

describe('a dismissed suggestion', () => {
  const dismissed = new Suggestion(at('x = |'), '1 + 2\ny = 3');

  it.each([
    ['x = |', '1 + 2\ny = 3', true],
    ['x = 1 |', '+ 2\ny = 3', true],
    ['x = 1 |', '+', true],
    ['x = 1 |', '+ 2\ny = 3\nz = 4', true],
    ['x = 1 |', '+ 3', false],
    ['x = 1 + 2\n|', 'y = 3', false],
    ['x = 2|', ' + 2', false],
    ['x =|', ' 1 + 2\ny = 3', false],
    ['x = 1 + 2\ny = 3|', '', false]
  ])('at %j hides %j: %s', (marked, text, hidden) => {
    expect(dismissed.hides(text, at(marked))).toBe(hidden);
  });

  it('hides its rest at any position on its line, and no other text', () => {
    const text = fc.string({ minLength: 2 }).filter(one => !/[\n'"`()[\]{}]/.test(one));
    fc.assert(
      fc.property(fc.string(), text, fc.nat(), (before, shown, cut) => {
        const typed = shown.slice(0, cut % shown.length);
        const made = new Suggestion({ text: before, offset: before.length }, shown);
        const position = { text: before + typed, offset: before.length + typed.length };
        expect(made.hides(shown.slice(typed.length), position)).toBe(true);
        expect(made.hides(`\n${shown}`, position)).toBe(false);
      })
    );
  });
});
