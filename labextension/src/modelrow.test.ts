import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';
import type { IEngineHealth } from './client';
import { describeHost, describeNotes, hiddenAs, ordered, tokenSpeed } from './modelrow';
import type { IModel } from './wire';

const model = (name: string, more: Partial<IModel> = {}) =>
  ({ name, size: 1e9, saved: 0.3, verdict: 'runs', ...more }) as IModel;

describe('the list of models', () => {
  it('begins with the selected, the default and the recommended model, and ends with hidden ones', () => {
    const models = [
      model('default', { size: 1 }),
      model('huge', { size: 9, verdict: 'too large' }),
      model('small', { size: 1 }),
      model('large', { size: 2 }),
      model('best', { verdict: 'recommended' }),
      model('coming', { pulling: true }),
      model('here', { stored: true }),
      model('used', { stored: true, selected: true }),
      model('unknown', { size: 8, saved: null })
    ];
    const names = ['used', 'default', 'best', 'here', 'coming', 'large', 'small', 'huge', 'unknown'];
    expect(ordered(models).map(one => one.name)).toEqual(names);
  });

  it('hides models that are unsuitable or were not measured, unless they are stored or recommended', () => {
    expect(hiddenAs(model('a', { verdict: 'too large' }))).toBe('unsuitable');
    expect(hiddenAs(model('a', { verdict: 'slow', saved: null }))).toBe('unsuitable');
    expect(hiddenAs(model('a', { verdict: 'slow', stored: true }))).toBe(null);
    expect(hiddenAs(model('a', { saved: null }))).toBe('unmeasured');
    expect(hiddenAs(model('a', { saved: null, verdict: 'recommended' }))).toBe(null);
    expect(hiddenAs(model('own', { verdict: undefined }))).toBe(null);
  });

  it('formats a speed below one token per second as <1', () => {
    expect(tokenSpeed(14.2)).toBe('~14');
    expect(tokenSpeed(0.3)).toBe('<1');
  });
});

describe('describeNotes', () => {
  it('shows that a copy of the model is being made', () => {
    const notes = (copying: boolean) =>
      describeNotes(nullTranslator.load(''), model('used', { use: 'notebooks', copying }));
    expect(notes(true)).toBe('notebooks · Making a faster copy in the background');
    expect(notes(false)).toBe('notebooks');
  });
});

describe('describeHost', () => {
  it.each([
    [{ inPage: { size: 1, step: null } }, /in your browser/],
    [{ address: 'models.example.org' }, /on models.example.org/],
    [{}, /in your Jupyter server/],
    [null, /^$/] // no engine responds, for example because there is no server
  ])('names the host of an engine with %j', (health, host) => {
    expect(describeHost(nullTranslator.load(''), health as IEngineHealth | null)).toMatch(host);
  });
});
