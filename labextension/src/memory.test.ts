import { describe, expect, it } from 'vitest';
import type { IRequest } from './client';
import { Memory } from './memory';
import { Suggestion } from './suggestion';

function body(source: string, above = 'above'): IRequest {
  return {
    path: 'a.ipynb',
    language: 'python',
    kernel_id: null,
    cells: [
      { id: '0', type: 'code', source: above, executed: true },
      { id: '1', type: 'code', source, executed: null }
    ],
    active: 1,
    offset: source.length,
    trigger: 'automatic',
    lines: 'auto',
    eagerness: null,
    stream: true,
    client: 'editor',
    n: 1,
    extra: [],
    max_tokens: null,
    temperature: 0
  };
}

const end = (text: string) => ({ text, offset: text.length });

function made(source: string, text: string) {
  const suggestion = new Suggestion(text, end(source));
  suggestion.grow(text);
  suggestion.finish();
  return { suggestion, id: `for ${source}` };
}

describe('the memory', () => {
  it('answers who returns to a place or types along from it', () => {
    const memory = new Memory();
    memory.remember(body('x = '), made('x = ', '1 + 2'));
    memory.remember(body('x = 4'), made('x = 4', '2'));
    expect(memory.recall(body('x = '), end('x = '))?.id).toBe('for x = ');
    expect(memory.recall(body('x = 1'), end('x = 1'))?.suggestion.rest(end('x = 1'))).toBe(' + 2');
  });

  it('takes the newest of several that fit', () => {
    const memory = new Memory();
    memory.remember(body('x = '), made('x = ', '1 + 2'));
    memory.remember(body('x = 1'), made('x = 1', ' - 2'));
    expect(memory.recall(body('x = 1'), end('x = 1'))?.id).toBe('for x = 1');
  });

  it('knows nothing once all of it is typed', () => {
    const memory = new Memory();
    memory.remember(body('x = '), made('x = ', '1'));
    expect(memory.recall(body('x = 1'), end('x = 1'))).toBeNull();
  });

  it('knows nothing where anything else differs', () => {
    const memory = new Memory();
    memory.remember(body('x = '), made('x = ', '1'));
    expect(memory.recall(body('x = ', 'other'), end('x = '))).toBeNull();
    expect(memory.recall({ ...body('x = '), lines: 'single' }, end('x = '))).toBeNull();
  });

  it('forgets all when it is told to', () => {
    const memory = new Memory();
    memory.remember(body('x = '), made('x = ', '1'));
    memory.clear();
    expect(memory.recall(body('x = '), end('x = '))).toBeNull();
  });

  it('forgets the oldest place when there are many', () => {
    const memory = new Memory();
    for (let n = 0; n < 5; n++) {
      memory.remember(body('x = ', `cell ${n}`), made('x = ', '1'));
    }
    expect(memory.recall(body('x = ', 'cell 0'), end('x = '))).toBeNull();
    expect(memory.recall(body('x = ', 'cell 4'), end('x = '))?.id).toBe('for x = ');
  });
});
