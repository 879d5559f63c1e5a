import { describe, expect, it } from 'vitest';
import { type IStep, Kept } from './kept';

const left = (...steps: IStep[]): number | null => {
  const kept = new Kept(10, 'f("a", [1]');
  kept.change(steps);
  return kept.length;
};

describe('the retained part of a text', () => {
  it('is all of it while others write around it', () => {
    expect(left({ retain: 3 }, { insert: 'before' })).toBe(10);
    expect(left({ retain: 10 }, { insert: 'right before' })).toBe(10);
    expect(left({ retain: 20 }, { insert: 'right behind' })).toBe(10);
    expect(left({ retain: 2 }, { delete: 8 })).toBe(10);
    expect(left({ retain: 20 }, { delete: 5 })).toBe(10);
  });

  it('is less where some is deleted', () => {
    expect(left({ retain: 12 }, { delete: 3 })).toBe(7);
    expect(left({ retain: 5 }, { delete: 8 })).toBe(7);
    expect(left({ retain: 18 }, { delete: 8 })).toBe(8);
    expect(left({ delete: 40 })).toBe(0);
    expect(left({ delete: 40 }, { insert: 'k' })).toBe(0); // all of it was selected, and a key pressed
    expect(left({ retain: 10 }, { delete: 10 }, { insert: 'same again' })).toBe(0);
  });

  it('follows one change after another', () => {
    const kept = new Kept(0, 'total(');
    kept.change([{ retain: 3 }, { insert: 'XX' }]);
    kept.change([{ delete: 1 }]);
    kept.change([{ retain: 6 }, { delete: 1 }]);
    expect(kept.length).toBe(4);
    kept.change([{ retain: 2 }, { delete: 2 }]); // the inserted text
    expect(kept.length).toBe(4);
  });

  it('is all of it where all of the text is replaced and says the same there', () => {
    expect(left({ delete: 40 }, { insert: 'x =  f("a", [1])' })).toBe(10);
    expect(left({ insert: 'f("a", [1])' }, { delete: 20 })).toBe(10);
  });

  it('is all of it where a formatter changes white space and quotes', () => {
    expect(left({ delete: 40 }, { insert: "x = f('a', [1])" })).toBe(10);
    expect(left({ delete: 40 }, { insert: "x = f(\n    'a',\n    [1])" })).toBe(10);
    expect(left({ delete: 40 }, { insert: "f('a',[1])" })).toBe(10);
    const kept = new Kept(0, 'f( "😀",  [ 1 ] )');
    kept.change([{ insert: "f('😀', [1])" }, { delete: 17 }]);
    expect(kept.length).toBe(16);
    kept.change([{ retain: 2 }, { delete: 4 }]); // the string: the emoji has two units
    expect(kept.length).toBe(13);
    kept.change([{ delete: 20 }]);
    expect(kept.length).toBe(0);
  });

  it('is not known where it is written otherwise there', () => {
    expect(left({ delete: 40 }, { insert: "x = f('b', [1])" })).toBe(null);
    expect(left({ delete: 40 }, { insert: 'f("a")' })).toBe(null); // shorter than all of it, but not by much
    const kept = new Kept(10, 'total');
    kept.change([{ delete: 40 }, { insert: 'x = Total' }]);
    kept.change([{ retain: 1 }, { insert: 'k' }]);
    kept.change([{ delete: 1 }]);
    kept.change([{ delete: 40 }, { insert: 'x = total' }]);
    expect(kept.length).toBe(null);
  });

  it('is followed in all its parts through a text that is replaced', () => {
    const kept = new Kept(4, 'total');
    kept.change([{ retain: 6 }, { insert: 'k' }]); // x = tokatal
    kept.change([{ delete: 10 }, { insert: 'total = tok(tal)' }]);
    expect(kept.length).toBe(5);
    kept.change([{ retain: 8 }, { delete: 4 }]); // the "to" that it found lies further up
    expect(kept.length).toBe(5);
  });

  it('stays where something is written before all of it, or the text up to it is replaced', () => {
    expect(left({ insert: 'first' })).toBe(10);
    expect(left({ delete: 10 }, { insert: 'another start' })).toBe(10);
  });

  it('equals a naive count for any changes', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      // Characters of the text in question are marked.
      let text = [...'.'.repeat(10), ...'x'.repeat(10), ...'.'.repeat(10)];
      const kept = new Kept(10, 'x'.repeat(10));
      for (let change = 0; change < 12; change++) {
        const at = random(text.length + 1);
        const steps: IStep[] = at ? [{ retain: at }] : [];
        if (random(2)) {
          const length = 1 + random(4);
          steps.push({ insert: 'n'.repeat(length) });
          text = [...text.slice(0, at), ...'n'.repeat(length), ...text.slice(at)];
        } else {
          const length = Math.min(1 + random(5), text.length - at);
          steps.push({ delete: length });
          text = [...text.slice(0, at), ...text.slice(at + length)];
        }
        kept.change(steps);
        expect(kept.length).toBe(text.filter(mark => mark === 'x').length);
      }
    }
  });
});
