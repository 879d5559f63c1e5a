import { describe, expect, it } from 'vitest';
import { Turns } from './turns';

const { signal } = new AbortController();

describe('a turn', () => {
  it('that was left early lets nobody pass whoever is before it', async () => {
    const turns = new Turns();
    const first = turns.enter('a', true, signal);
    turns.enter('b', true, signal).leave();
    let begun = false;
    const waiting = turns.enter('c', true, signal).free.then(() => (begun = true));
    await new Promise(resolve => setTimeout(resolve));
    expect(begun).toBe(false);
    first.leave();
    await waiting;
  });
});
