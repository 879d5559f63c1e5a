import { describe, expect, it } from 'vitest';
import { type IStep, Retention } from './retention';

const left = (...steps: IStep[]): number | null => {
  const retention = new Retention(10, 'f("a", [1]');
  retention.change(steps);
  return retention.length;
};

describe('Retention', () => {
  it('is 0 after all of the text was deleted', () => {
    expect(left({ delete: 40 })).toBe(0);
    expect(left({ delete: 40 }, { insert: 'k' })).toBe(0); // all of it was selected, and a key pressed
    expect(left({ retain: 10 }, { delete: 10 }, { insert: 'same again' })).toBe(0);
  });

  it('counts the whole text if the document is replaced by an equal one', () => {
    expect(left({ delete: 40 }, { insert: 'x =  f("a", [1])' })).toBe(10);
    expect(left({ insert: 'f("a", [1])' }, { delete: 20 })).toBe(10);
  });

  it('counts the whole text if a formatter changes white space and quotes', () => {
    expect(left({ delete: 40 }, { insert: "x = f('a', [1])" })).toBe(10);
    expect(left({ delete: 40 }, { insert: "x = f(\n    'a',\n    [1])" })).toBe(10);
    expect(left({ delete: 40 }, { insert: "f('a',[1])" })).toBe(10);
    const retention = new Retention(0, 'f( "😀",  [ 1 ] )');
    retention.change([{ insert: "f('😀', [1])" }, { delete: 17 }]);
    expect(retention.length).toBe(16);
    retention.change([{ retain: 2 }, { delete: 4 }]); // the string: the emoji has two units
    expect(retention.length).toBe(13);
    retention.change([{ delete: 20 }]);
    expect(retention.length).toBe(0);
  });

  it('is unknown if the replaced document spells it differently', () => {
    expect(left({ delete: 40 }, { insert: "x = f('b', [1])" })).toBe(null);
    expect(left({ delete: 40 }, { insert: 'f("a")' })).toBe(null); // shorter than all of it, but not by much
    const retention = new Retention(10, 'total');
    retention.change([{ delete: 40 }, { insert: 'x = Total' }]);
    retention.change([{ retain: 1 }, { insert: 'k' }]);
    retention.change([{ delete: 1 }]);
    retention.change([{ delete: 40 }, { insert: 'x = total' }]);
    expect(retention.length).toBe(null);
  });

  it('follows all parts through a replaced document', () => {
    const retention = new Retention(4, 'total');
    retention.change([{ retain: 6 }, { insert: 'k' }]); // x = tokatal
    retention.change([{ delete: 10 }, { insert: 'total = tok(tal)' }]);
    expect(retention.length).toBe(5);
    retention.change([{ retain: 8 }, { delete: 4 }]); // the "to" that it found lies further up
    expect(retention.length).toBe(5);
  });

  it('counts the whole text if the text before it is changed or replaced', () => {
    expect(left({ insert: 'first' })).toBe(10);
    expect(left({ delete: 10 }, { insert: 'another start' })).toBe(10);
  });

  it('agrees with a naive count for any changes', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      // Characters of the text in question are marked.
      let text = [...'.'.repeat(10), ...'x'.repeat(10), ...'.'.repeat(10)];
      const retention = new Retention(10, 'x'.repeat(10));
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
        retention.change(steps);
        expect(retention.length).toBe(text.filter(mark => mark === 'x').length);
      }
    }
  });
});
