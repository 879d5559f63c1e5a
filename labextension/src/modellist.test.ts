import { describe, expect, it } from 'vitest';
import { ordered, speed, suits } from './modellist';
import type { IModel } from './wire';

const model = (name: string, more: Partial<IModel> = {}) =>
  ({ name, size: 1e9, verdict: 'runs', ...more }) as IModel;

describe('the list of models', () => {
  it('sorts by selected, stored, downloading, recommended, size and unsuitable', () => {
    const models = [
      model('huge', { size: 3, verdict: 'too large' }),
      model('small', { size: 1 }),
      model('large', { size: 2 }),
      model('best', { verdict: 'recommended' }),
      model('coming', { pulling: true }),
      model('here', { stored: true }),
      model('used', { stored: true, selected: true })
    ];
    expect(ordered(models).map(one => one.name)).toEqual([
      'used',
      'here',
      'coming',
      'best',
      'large',
      'small',
      'huge'
    ]);
  });

  it('hides models that are unsuitable for this machine unless they are stored', () => {
    expect(suits(model('a', { verdict: 'too large' }))).toBe(false);
    expect(suits(model('a', { verdict: 'slow' }))).toBe(false);
    expect(suits(model('a', { verdict: 'slow', stored: true }))).toBe(true);
    expect(suits(model('own', { verdict: undefined }))).toBe(true);
  });

  it('formats a speed below one token per second as <1', () => {
    expect(speed(14.2)).toBe('~14');
    expect(speed(0.3)).toBe('<1');
    expect(speed(undefined)).toBe('');
  });
});
