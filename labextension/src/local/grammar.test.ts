import { parser as javascript } from '@lezer/javascript';
import { parser as python } from '@lezer/python';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byBrackets, byGrammar, fitting } from './grammar';

const judge = byGrammar(language => ({ python, javascript })[language] ?? null);

const PROGRAM = `from pathlib import (
    Path,
)
@decorated(1)
async def main(a, *rest, key: int = 3, **more) -> None:
    """Say 'something'."""
    return await values[1:-1:2](key=more)
for i, (b, c) in enumerate(zip(a, rest)):
    if not b and c != {"x": [1, 2]}["x"][0]:
        print(f"{b:>4} of {c!r}", end="")  # a comment's "quote
    elif isinstance(b, (int, str)):
        del rest[0]
    else:
        raise ValueError('no \\'way\\'') from None
with open("a") as file, Path("b").open() as other:
    values = [x ** 2 for x in file if x] + [lambda y: y]
try:
    assert error, "message"
except (OSError, KeyError) as error:
    pass
finally:
    a = b = yes if key else no
more = {k: v for k, v in more.items()}
`;

/** The prefixes of a text that end between words, operators and white space. */
function beginnings(text: string, signs: RegExp): string[] {
  return Array.from(text, (_, at) => text.slice(0, at)).filter(begun => {
    const rest = text.slice(begun.length);
    return (
      !/^\s/.test(rest) &&
      !(/\w$/.test(begun) && /^\w/.test(rest)) &&
      !(signs.test(begun) && /^[*=>&|]/.test(rest))
    );
  });
}

describe('Python syntax', () => {
  it('accepts a program that is cut at any position', () => {
    const wrong = beginnings(PROGRAM, /[*!=<>:-]$/).filter(text => judge('python', text).faults > 0);
    expect(wrong.map(text => text.slice(-60))).toEqual([]);
  });

  it.each([
    ['@a\ndef f(): pass\n@b\n', '@c'],
    ['if x:\n    @a\n', '    @b'],
    ['@a\ndef f(): pass\nx', ' @ y']
  ])('accepts a decorator or an operator after %j', (prefix, text) => {
    expect(fitting('python', prefix, judge)(text)).toBe(true);
  });

  it.each([
    ['x = f(a', ']'],
    ['x = ', '= 1'],
    ['if a:\n    b\n', '  c']
  ])('rejects a text after %j', (prefix, text) => {
    expect(fitting('python', prefix, judge)(text)).toBe(false);
  });
});

describe('incremental parsing', () => {
  const code = fc
    .array(
      fc.constantFrom(...PROGRAM.split(/(?<=\n)|(?<=[^ ] )/), '(', ']', '"', "'''", '\n    ', 'f"{', '= ')
    )
    .map(parts => parts.join(''));

  it('gives the same result as parsing from the start', () => {
    fc.assert(
      fc.property(
        fc.array(code, { minLength: 1 }),
        fc.constantFrom('python', 'javascript'),
        (texts, language) => {
          const known = byGrammar(name => ({ python, javascript })[name] ?? null);
          const program = PROGRAM + PROGRAM;
          for (const text of texts) {
            const whole = program.slice(0, 30 * text.length) + text;
            const fresh = byGrammar(name => ({ python, javascript })[name] ?? null);
            expect([whole, known(language, whole).faults]).toEqual([whole, fresh(language, whole).faults]);
          }
        }
      )
    );
  });
});

describe('other languages', () => {
  const program = `const a = (b) => {\n  return \`x \${b}\`;\n};\nfor (let i = 0; i < 3; i++) {\n  foo(a, 'b');\n}\n`;

  it('accepts a program that is cut at any position', () => {
    const wrong = beginnings(program, /[=<>+]$/).filter(text => judge('javascript', text).faults > 0);
    expect(wrong.map(text => text.slice(-60))).toEqual([]);
  });

  it.each([
    ['const a = ', 'for let'],
    ['foo(', 'a b c ']
  ])('rejects a text after %j', (prefix, text) => {
    expect(fitting('javascript', prefix, judge)(text)).toBe(false);
  });

  it('accepts a text after an existing error', () => {
    expect(fitting('javascript', 'let let = = ;\nfoo(', judge)('a)')).toBe(true);
  });

  it('rejects an extra bracket in every language', () => {
    for (const language of ['python', 'javascript', 'klingon']) {
      expect(fitting(language, 'f(a', judge)(')')).toBe(true);
      expect(fitting(language, 'f(a', judge)('))')).toBe(false);
    }
  });
});

describe('parsing limits', () => {
  it('check only brackets in a long text', () => {
    const prefix = `${'// a comment\n'.repeat(400)}f(a`;
    expect(fitting('javascript', prefix, judge)(' b of)')).toBe(true);
    expect(fitting('javascript', prefix, judge)(']')).toBe(false);
  });

  it('check only brackets in a long statement', () => {
    const prefix = `x = [${'1, '.repeat(4000)}`;
    expect(fitting('python', prefix, judge)('2 3')).toBe(true);
    expect(fitting('python', prefix, judge)('2)')).toBe(false);
    expect(fitting('python', `${prefix}]\ny = [`, judge)('2 3')).toBe(false);
  });

  it('accept a text after one that is too long to parse', () => {
    expect(fitting('python', 'x\n'.repeat(20_000), byBrackets)('))')).toBe(true);
  });

  it('reject a text once an answer has exceeded its budget', () => {
    const fits = fitting('python', 'x = ', judge);
    const long = '1, '.repeat(2000);
    expect(fits(`[${long}1`)).toBe(true);
    Array.from({ length: 20 }, (_, at) => fits(`[${at}${long}2`));
    expect(fits('2')).toBe(false);
  });

  it('do not parse a text again from its start', () => {
    const prefix = `class Long:\n${'    def one(self):\n        return [self.value, 2]\n\n'.repeat(150)}    x = `;
    const { parsed } = judge('python', `${prefix}y`);
    expect(parsed).toBeGreaterThan(prefix.length);
    const further = judge('python', `${prefix}y + z`);
    expect(further.faults).toBe(0);
    expect(further.parsed).toBeLessThan(1000);
  });
});
