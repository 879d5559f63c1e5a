import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Dismissal } from './dismissal';

const at = (marked: string) => ({ text: marked.replace('|', ''), offset: marked.indexOf('|') });

describe('what was dismissed', () => {
  const dismissal = new Dismissal('1 + 2\ny = 3', at('x = |'));

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
  ])('at %j stays away as %j: %s', (marked, text, hidden) => {
    expect(dismissal.hides(text, at(marked))).toBe(hidden);
  });

  it.each([
    ['x = 1|', true],
    ['x = |', true],
    ['x = 2|', false],
    ['x = 1 + 2\n|', false],
    ['y = |', false]
  ])('holds at %j: %s', (marked, holds) => {
    expect(dismissal.holds(at(marked))).toBe(holds);
  });

  it('stays away wherever somebody is on its line, and another text does not', () => {
    const text = fc.string({ minLength: 2 }).filter(one => !/[\n'"`()[\]{}]/.test(one));
    fc.assert(
      fc.property(fc.string(), text, fc.nat(), (before, shown, cut) => {
        const typed = shown.slice(0, cut % shown.length);
        const made = new Dismissal(shown, { text: before, offset: before.length });
        const place = { text: before + typed, offset: before.length + typed.length };
        expect(made.hides(shown.slice(typed.length), place)).toBe(true);
        expect(made.hides(`\n${shown}`, place)).toBe(false);
      })
    );
  });
});
