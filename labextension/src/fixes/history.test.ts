import { beforeEach, describe, expect, it } from 'vitest';
import { differencesOf, History, hasAlikeChanges, replacedText } from './history';

const edit = (before: string, after: string, cell = 'a', time = 0) => ({ cell, before, after, time });

describe('differencesOf', () => {
  it.each([
    ['df["amount"]', 'df["total"]', ['"amount"'], ['"total"']],
    ['plt.plot(x)', 'ax.plot(x)', ['plt'], ['ax']],
    ['a = 1\nplot(x)', 'a = 1\nplot(x, alpha=0.5)', [], [',', 'alpha', '=', '0.5']],
    ['x = np.float(y)', 'x = float(y)', ['np', '.'], []],
    ['amounts + 1', 'amount + 1', ['amounts'], ['amount']],
    ['a\nb', 'a\nx\nb', [], ['x', '\n']],
    ['amount', 'total', ['amount'], ['total']]
  ])('cuts the change of %j to %j to whole lexemes', (before, after, removed, inserted) => {
    expect(differencesOf(before, after)).toEqual([{ removed, inserted }]);
  });

  it('finds a difference for each changed line', () => {
    expect(differencesOf('a\nf(x)\nb\nf(y)\n', 'a\ng(x)\nb\ng(y)\n')).toEqual([
      { removed: ['f'], inserted: ['g'] },
      { removed: ['f'], inserted: ['g'] }
    ]);
  });

  it.each([
    [' \n', 'df["total"]'],
    ['a = 1', 'b = 2\nc'],
    ['a  = 1', 'a = 1'],
    [`${'x'.repeat(60_001)} = 1`, `${'x'.repeat(60_001)} = 2`],
    [`a = 1 # ${'x'.repeat(2001)}`, `a = 1`]
  ])(
    'finds none where the cell is new, replaced or too long, or only white space differs',
    (before, after) => {
      expect(differencesOf(before, after)).toEqual([]);
    }
  );
});

describe('History', () => {
  let history: History;

  beforeEach(() => void (history = new History()));

  const earlier = (before: string, after: string, time = 1) => {
    const added = history.add('b', before, after, time);
    return added && history.earlierLike(added, ['a', 'b']);
  };

  it.each([
    ['a literal', 'df["amount"].sum()', 'df["total"].sum()', 'x = df["amount"]', 'x = df["total"]'],
    ['an argument', 'plot(x)', 'plot(x, alpha=0.5)', 'y = plot(z, c)', 'y = plot(z, alpha=0.5, c)'],
    ['a wrapping call', 'y = x + 1', 'y = np.log(x) + 1', 'f(z)', 'f(np.log(z))'],
    ['a method call', 'a.head()', 'a.dropna().head()', 'b.head(3)', 'b.dropna().head(3)'],
    ['another access', 'df.price + 1', 'df["price"] + 1', 'df.tax + 1', "df['tax'] + 1"],
    ['white space', 'f(a)', 'f(a, b=1)', 'f(c)', 'f(c, b = 1)']
  ])('finds an earlier edit with the same change: %s', (_, before, after, second, changed) => {
    const first = history.add('a', before, after, 0);
    expect(earlier(second, changed)).toBe(first);
  });

  it.each([
    ['df["amount"]', 'df["total"]', 'df["price"]', 'df["net"]'],
    ['', 'f(a)', 'x', 'x\nf(a)'],
    ['f(a)', 'f(a )', 'f(b)', 'f(b )']
  ])('finds none that differs: %j → %j, %j → %j', (before, after, second, changed) => {
    history.add('a', before, after, 0);
    expect(earlier(second, changed)).toBeNull();
  });

  it('finds none that is too old, or of a cell that has been deleted or undone', () => {
    history.add('a', 'f(x)', 'g(x)', 0);
    expect(earlier('f(y)', 'g(y)', 301_000)).toBeNull();
    history.add('c', 'f(x)', 'g(x)', 301_000);
    history.forget('b');
    expect(earlier('f(y)', 'g(y)', 301_000)).toBeNull();
    history.forget('b');
    history.add('a', 'f(x)', 'g(x)', 301_000);
    history.forget('a');
    expect(earlier('f(y)', 'g(y)', 301_000)).toBeNull();
  });

  it('keeps the last 20 edits', () => {
    history.add('a', 'f(x)', 'g(x)', 0);
    for (let index = 0; index < 19; index++) {
      history.add(`${index}`, 'x = 1', 'x = 2', 0);
    }
    expect(earlier('f(y)', 'g(y)')).toBeNull();
  });

  it('extends an edit that the user continues where it ended', () => {
    history.add('a', 'df["amount"]', 'df["t"]', 0);
    expect(history.add('a', 'df["t"]', 'df["total"]', 1)?.before).toBe('df["amount"]');
    expect(history.add('a', 'df["total"]', 'df["amount"]', 2)).toBeNull();
    expect(earlier('x["amount"]', 'x["total"]')).toBeNull();
    history.add('a', 'f(x) + 1', 'f(x, a) + 1', 3);
    expect(history.add('a', 'f(x, a) + 1', 'f(x, a=1) + 1', 4)?.before).toBe('f(x) + 1');
  });

  it('does not extend an edit by one at another position', () => {
    const first = history.add('a', 'f(x)\nf(y)', 'g(x)\nf(y)', 0);
    const second = history.add('a', 'g(x)\nf(y)', 'g(x)\ng(y)', 1);
    expect(second?.before).toBe('g(x)\nf(y)');
    expect(second && history.earlierLike(second, ['a'])).toBe(first);
    history.add('a', 'x', 'x\nab = 1', 2);
    expect(history.add('a', 'x\nab = 1', 'x\nac = 1', 3)?.before).toBe('x\nab = 1');
  });

  it('forgets all edits when the user declines one, and remembers it', () => {
    const declined = history.add('a', 'f(x)', 'g(x)', 0);
    expect(declined && history.isDeclined(declined)).toBe(false);
    history.decline(edit('f(x)', 'g(x)'));
    expect(declined && history.isDeclined(declined)).toBe(true);
    expect(history.isDeclined(edit('f(x)', 'h(x)'))).toBe(false);
    expect(earlier('f(y)', 'g(y)')).toBeNull();
  });
});

describe('hasAlikeChanges', () => {
  it('compares the changes within an edit', () => {
    expect(hasAlikeChanges(edit('f(x)\nf(y)', 'g(x)\ng(y)'))).toBe(true);
    expect(hasAlikeChanges(edit('f(x)\nf(y)', 'g(x)\nf(y)'))).toBe(false);
  });
});

describe('replacedText', () => {
  it.each([
    ['df["amount"]', 'df["total"]', 'amount'],
    ['plt.plot(x)', 'ax.plot(x)', 'plt'],
    ['x.ix[0]', 'x.loc[0]', 'ix'],
    ['x = np.float(y)', 'x = float(y)', 'np'],
    ["read_csv(r'a b.csv')", "read_csv('c.csv')", 'a b.csv']
  ])('of %j and %j is a name or the text of a string', (before, after, expected) => {
    expect(replacedText(edit(before, after))).toBe(expected);
  });

  it.each([
    ['f(x)', 'f(x, y)'],
    ['f(x, y)', 'f(x)'],
    ['f(x + y)', 'f(x)'],
    ['f(8)', 'f(9)'],
    ['f(True)', 'f(False)'],
    ['f("")', 'f("a")'],
    ['a = x\nb = x', 'a = y\nb = y'],
    ['x', 'x']
  ])('of %j and %j is null', (before, after) => {
    expect(replacedText(edit(before, after))).toBeNull();
  });
});
