import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodePoints, MARKS } from '../vocabulary';
import { Spelling } from './prompt';
import type { MarkTexts } from './specials';

const FIM: MarkTexts = ['<PRE>', '<SUF>', '<MID>'];
const controls = ['<|end|>', '<file>', ...FIM];
const tokens = (text: string): number[] => new CodePoints(true).tokenize(text);
const filled = (before: string, after: string, written = ''): number[] => [
  MARKS.prefix,
  ...tokens(before),
  MARKS.suffix,
  ...tokens(after),
  MARKS.middle,
  ...tokens(written)
];
const ROOM = 1000;

describe('a prompt for wllama', () => {
  const plain = new Spelling({ controls, marks: null });
  const filling = new Spelling({ controls, marks: FIM });

  it('ends before the word that is being typed, which the text begins with', () => {
    expect(plain.prompt(tokens('x = 1\n    ret'), ROOM)).toEqual({ prompt: 'x = 1\n   ', typed: ' ret' });
    expect(plain.prompt(tokens('x = ('), ROOM)).toEqual({ prompt: 'x = (', typed: '' });
    expect(plain.prompt(tokens('x'), ROOM)).toEqual({ prompt: '\n', typed: 'x' });
  });

  it('has marks around what stands before and behind the cursor', () => {
    expect(filling.prompt(filled('a = (', ')\nb'), ROOM)?.prompt).toBe('<PRE>a = (<SUF>)\nb<MID>');
  });

  it('has behind the last line before the cursor what is written already', () => {
    expect(filling.prompt(filled('a = (', ')', '1,'), ROOM)?.prompt).toBe('<PRE>a = (1,<SUF>)<MID>');
  });

  it('leaves out lines that spell a control token', () => {
    const above = 'one\n"<|end|>"\ntwo\n';
    expect(plain.prompt(tokens(`${above}x = (`), ROOM)?.prompt).toBe('one\ntwo\nx = (');
    expect(filling.prompt(filled('x = (', ')\n# <MID>\ny'), ROOM)?.prompt).toBe('<PRE>x = (<SUF>)\ny<MID>');
  });

  it.each([
    ['<|end|>', ''],
    ['', '<file>'],
    ['a<fi', 'le>b']
  ])("is none where the cursor's own line spells one: %s|%s", (before, after) => {
    expect(filling.prompt(filled(before, after), ROOM)).toBeNull();
  });

  it('never holds a control token that was typed, and never more bytes than there is room for', () => {
    const typed = fc
      .array(fc.oneof(fc.constantFrom(...controls, '\n', '<', '|end|>', '😀'), fc.string({ unit: 'binary' })))
      .map(parts => parts.join(''));
    fc.assert(
      fc.property(typed, typed, fc.integer({ min: 200, max: 400 }), (before, after, most) => {
        const answer = filling.prompt(filled(before, after.slice(0, 20)), most);
        if (answer) {
          const [head, rest] = answer.prompt.slice(FIM[0].length).split(FIM[1]);
          const inside = [head, rest.slice(0, -FIM[2].length), head + answer.typed];
          expect(inside.some(text => controls.some(control => text.includes(control)))).toBe(false);
          expect(new TextEncoder().encode(head + rest + answer.typed).length).toBeLessThanOrEqual(
            most + FIM[2].length + 4
          );
          expect(JSON.parse(JSON.stringify(answer))).toEqual(answer);
          expect(/\p{Cs}/u.test(answer.prompt)).toBe(false);
        }
      })
    );
  });
});
