import { describe, expect, it } from 'vitest';
import { stepInWords } from './status';

describe('what the page says of a model that is being fetched', () => {
  it('changes ten times, however many pieces it comes in: each change is read out', () => {
    const total = 6_400_000;
    const words = Array.from({ length: 101 }, (_, at) =>
      stepInWords({ phase: 'downloading', received: (at * total) / 100, total })
    );
    expect([...new Set(words)]).toHaveLength(11);
    expect(words[55]).toBe('Downloading the model (6.4 MB): 50 %…');
  });

  it('counts nothing where the size is not known', () => {
    expect(stepInWords({ phase: 'downloading', received: 5 })).toBe('Loading the model…');
  });
});
