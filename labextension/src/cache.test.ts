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

describe('Cache', () => {
  it('returns a suggestion for the same position and for text typed along it', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1 + 2'));
    cache.remember(body('x = 4'), made('x = 4', '2'));
    expect(cache.lookup({ ...body('x = '), sequence: 9 }, end('x = '))?.id).toBe('for x = ');
    expect(cache.lookup(body('x = 1'), end('x = 1'))?.suggestion.rest(end('x = 1'))).toBe(' + 2');
  });

  it('prefers the newest matching suggestion', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1 + 2'));
    cache.remember(body('x = 1'), made('x = 1', ' - 2'));
    expect(cache.lookup(body('x = 1'), end('x = 1'))?.id).toBe('for x = 1');
  });

  it('prefers a suggestion for the same position over a newer one typed along', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = 1'), made('x = 1', ' - 2'));
    cache.remember(body('x = '), made('x = ', '1 + 2'));
    expect(cache.lookup(body('x = 1'), end('x = 1'))?.id).toBe('for x = 1');
  });

  it('returns nothing once the whole suggestion is typed', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1'));
    expect(cache.lookup(body('x = 1'), end('x = 1'))).toBeNull();
  });

  it('returns nothing if the surrounding text differs', () => {
    const cache = new SuggestionCache();
    cache.remember(body('x = '), made('x = ', '1'));
    expect(cache.lookup(body('x = ', 'other'), end('x = '))).toBeNull();
    expect(cache.lookup({ ...body('x = '), lines: 'single' }, end('x = '))).toBeNull();
  });

  it('evicts the oldest position', () => {
    const cache = new SuggestionCache();
    for (let n = 0; n < 5; n++) {
      cache.remember(body('x = ', `cell ${n}`), made('x = ', '1'));
    }
    expect(cache.lookup(body('x = ', 'cell 0'), end('x = '))).toBeNull();
    expect(cache.lookup(body('x = ', 'cell 4'), end('x = '))?.id).toBe('for x = ');
  });
});
