import { describe, expect, it } from 'vitest';
import type { IRequest } from './wire';
import { SuggestionCache } from './cache';
import { requestOf } from './local/testing/request';
import { Suggestion } from './suggestion';

const body = (source: string, above = 'above'): IRequest =>
  requestOf('', {
    cells: [
      { id: '0', type: 'code', source: above, executed: true },
      { id: '1', type: 'code', source, executed: null }
    ],
    active: 1,
    offset: source.length
  });

const end = (text: string) => ({ text, offset: text.length });

function made(source: string, text: string) {
  const suggestion = new Suggestion(end(source), text);
  suggestion.finish();
  return { suggestion, id: `for ${source}` };
}

describe('the cache of suggestions', () => {
  it('answers who returns to a place or types along from it', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1 + 2'));
    cache.remember(body('x = 4'), made('x = 4', '2'));
    expect(cache.recall({ ...body('x = '), sequence: 9 }, end('x = '))?.id).toBe('for x = ');
    expect(cache.recall(body('x = 1'), end('x = 1'))?.suggestion.rest(end('x = 1'))).toBe(' + 2');
  });

  it('takes the newest of several that fit', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1 + 2'));
    cache.remember(body('x = 1'), made('x = 1', ' - 2'));
    expect(cache.recall(body('x = 1'), end('x = 1'))?.id).toBe('for x = 1');
  });

  it('takes the one made at a place before one that is typed along, however new that is', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = 1'), made('x = 1', ' - 2'));
    cache.remember(body('x = '), made('x = ', '1 + 2'));
    expect(cache.recall(body('x = 1'), end('x = 1'))?.id).toBe('for x = 1');
  });

  it('knows nothing once all of it is typed', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1'));
    expect(cache.recall(body('x = 1'), end('x = 1'))).toBeNull();
  });

  it('knows nothing where anything else differs', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1'));
    expect(cache.recall(body('x = ', 'other'), end('x = '))).toBeNull();
    expect(cache.recall({ ...body('x = '), lines: 'single' }, end('x = '))).toBeNull();
  });

  it('is empty after clear', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1'));
    cache.clear();
    expect(cache.recall(body('x = '), end('x = '))).toBeNull();
  });

  it('forgets the oldest place when there are many', () => {
    const cache = new SuggestionCache();
    for (let n = 0; n < 5; n++) {
      cache.remember(body('x = ', `cell ${n}`), made('x = ', '1'));
    }
    expect(cache.recall(body('x = ', 'cell 0'), end('x = '))).toBeNull();
    expect(cache.recall(body('x = ', 'cell 4'), end('x = '))?.id).toBe('for x = ');
  });
});
