import { describe, expect, it } from 'vitest';
import { changeOf, mentions } from './identifiers';

describe('changeOf', () => {
  it.each([
    ['revenue = 3', 'revenue_eur = 3', { start: 0, old: 'revenue', name: 'revenue_eur' }],
    ['a = 1\nb = a', 'aa = 1\nb = a', { start: 0, old: 'a', name: 'aa' }],
    ['x = y', 'xy = y', { start: 0, old: 'x', name: 'xy' }],
    ['def area(w):\n    pass', 'def area(width):\n    pass', { start: 9, old: 'w', name: 'width' }],
    ['import numpy as np', 'import numpy as num', { start: 16, old: 'np', name: 'num' }],
    ['größe = 1', 'größen = 1', { start: 0, old: 'größe', name: 'größen' }],
    ['😀 = old', '😀 = new', { start: 5, old: 'old', name: 'new' }],
    ['old', 'new', { start: 0, old: 'old', name: 'new' }],
    ['df["spec"] = 1', 'df["specifik"] = 1', { start: 4, old: 'spec', name: 'specifik' }],
    ["a\n  df['spec'] = b", "a\n  df['unit price'] = b", { start: 8, old: 'spec', name: 'unit price' }],
    ['x = 1; df["a b"] = 1', 'x = 1; df["a b c"] = 1', { start: 11, old: 'a b', name: 'a b c' }]
  ])('finds the changed identifier of %j and %j', (before, after, expected) => {
    expect(changeOf(before, after)).toEqual(expected);
  });

  it('waits while an identifier is being replaced', () => {
    expect(changeOf('revenue = 3', ' = 3')).toBe('none');
    expect(changeOf('df["spec"] = 3', 'df[""] = 3')).toBe('none');
  });

  it('returns none for equal texts', () => {
    expect(changeOf('a', 'a')).toBe('none');
  });

  it.each([
    ['', 'revenue'],
    ['a = 1', 'a = 12'],
    ['a = 1', 'a = 1\nb = 2'],
    ['a = 1', '1a = 1'],
    ['ab', 'a b'],
    ['a b', 'ab'],
    ['a = b', 'c = d'],
    ['a = 1  # revenue', 'a = 1  # revenues'],
    ['a = "revenue"', 'a = "revenues"'],
    ['df[""] = 1', 'df["spec"] = 1'],
    ['df["spec"]', 'df["specs"]'],
    ['df["spec"] == 1', 'df["specs"] == 1'],
    ['df["spec"] += 1', 'df["specs"] += 1'],
    ['x = df["spec"]', 'x = df["specs"]'],
    ['x.df["spec"] = 1', 'x.df["specs"] = 1'],
    ['df[r"spec"] = 1', 'df[r"specs"] = 1'],
    ['df["spec"] = 1', 'df["spec\\n"] = 1'],
    ['df["spec"] = 1', 'df["spec] = 1'],
    ['if a: pass', 'iffy a: pass'],
    ['a = b', 'a = None']
  ])('finds no changed identifier in %j and %j', (before, after) => {
    expect(changeOf(before, after)).toBe('other');
  });
});

describe('mentions', () => {
  it('finds whole words only, in code and in f-strings', () => {
    expect(mentions('print(f"{revenue}")', 'revenue')).toBe(true);
    expect(mentions('revenue_eur = prerevenue', 'revenue')).toBe(false);
    expect(mentions('df["price (€)"]', 'price (€)')).toBe(true);
    expect(mentions('df["prices (€)"]', 'price (€)')).toBe(false);
  });
});
