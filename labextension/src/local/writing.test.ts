import { describe, expect, it } from 'vitest';
import { closingCheck } from './lexer';
import { surroundingsOf } from './surroundings';
import { TrimmedText } from './writing';

/** An automatic suggestion after tokens of the same probability, which the model has ended. */
function after(texts: string[], prefix: string, suffix = '', probability = 0.9): TrimmedText {
  const around = surroundingsOf(prefix, suffix);
  const suggestion = new TrimmedText(around, closingCheck(prefix, around.rest, true), 0.5);
  for (const text of texts) {
    if (!suggestion.done) {
      suggestion.take([{ token: 0, text, probability }]);
    }
  }
  suggestion.finish(true);
  return suggestion;
}

describe('an automatic suggestion', () => {
  it.each([
    [['total', ' + 1', '\n', 'y = 2'], 'x = ', 'total + 1'],
    [['call(1,\n', '2)', '\n', 'y = 2'], 'x = ', 'call(1,\n2)'],
    [['\n    ', 'return 1', '\n    ', 'return 2'], 'def f():', '\n    return 1'],
    [['a = 100', '\n', 'b = 2', '\n'], '', 'a = 100'],
    [['number,', '\n'], 'f(\n    2,\n    ', 'number,'],
    [['sentence', '\n', 'next'], '"""A\n', 'sentence']
  ])('%j ends with its statement', (texts, prefix, shown) => {
    expect(after(texts, prefix)).toMatchObject({ shown, hiddenReason: undefined });
  });

  it('ends where it is no longer probable, and so does its generation', () => {
    const suggestion = after(['number', ' + ', 'value', ' + ', '3'], 'x = ', '', 0.8);
    expect(suggestion).toMatchObject({ shown: 'number + value', done: true });
    expect(suggestion.pieces.length).toBe(4);
    expect(suggestion.confidence).toBeCloseTo(0.8 ** 3);
  });

  it.each([
    [['number', '_of', '_all', '_', '_'], ''],
    [['numbers', '.me', 'an', '(', 'x'], 'numbers.mean'],
    [['frame2', '.', 'me', 'an', 'ing'], ''],
    [['values', '(', '[', 'x', 'y'], 'values']
  ])('%j does not end within a word or a number, nor before brackets close', (texts, shown) => {
    expect(after(texts, 'x = ', '', 0.8).shown).toBe(shown);
  });

  it.each([
    [['call("a'], 'x = ', '', 'invalid'],
    [['numbers)'], 'x = ', '', 'invalid'],
    [['number'], 'x = f(', '', 'invalid'],
    [['number'], 'x = f(', ' + 1', 'invalid'],
    [['a + b'], 'x = ', '', 'short'],
    [[], 'x = ', '', 'nothing']
  ])('%j is hidden after %j', (texts, prefix, suffix, hiddenReason) => {
    expect(after(texts, prefix, suffix)).toMatchObject({ shown: '', hiddenReason });
  });

  it('is hidden if the model is unsure', () => {
    expect(after(['numbers'], 'x = ', '', 0.4)).toMatchObject({ shown: '', hiddenReason: 'unsure' });
  });

  it.each([
    [['number'], 'x = f(', ')', 'number'],
    [['number'], 'f(\n    1, g(', '),\n    2)', 'number'],
    [['ord_mm', '"', ']', '.sum()'], 'm = df["nederb', '].mean()', 'ord_mm"']
  ])('%j may leave open what the rest of the line closes', (texts, prefix, suffix, shown) => {
    expect(after(texts, prefix, suffix).shown).toBe(shown);
  });
});

describe('closing', () => {
  it('rejects only wrong brackets in other languages', () => {
    const closes = closingCheck('if (x', '', false);
    expect([') {', "'s", ']'].map(closes)).toEqual([true, true, false]);
  });
});
