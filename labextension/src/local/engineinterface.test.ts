import { describe, expect, it } from 'vitest';
import { remainingCandidates } from './engineinterface';

const WAYS = [
  [1, 2, 3],
  [1, 4]
];

describe('the candidates of a prefix constraint', () => {
  it('are complete before any text is generated', () => {
    expect(remainingCandidates(WAYS, [])).toEqual(WAYS);
    expect(remainingCandidates([], [])).toEqual([]);
  });

  it('are the rests of the matching ones', () => {
    expect(remainingCandidates(WAYS, [1])).toEqual([[2, 3], [4]]);
    expect(remainingCandidates(WAYS, [1, 2])).toEqual([[3]]);
  });

  it('are empty after a complete one', () => {
    expect(remainingCandidates(WAYS, [1, 4])).toEqual([[]]);
    expect(remainingCandidates([...WAYS, [1, 4, 5]], [1, 4])).toEqual([[], [5]]);
  });

  it('continue a longer one after a complete shorter one', () => {
    expect(remainingCandidates([[1], [1, 1, 2]], [1, 1])).toEqual([[2]]);
  });

  it('are empty after a completed one or if none matches', () => {
    expect(remainingCandidates(WAYS, [1, 4, 9])).toEqual([]);
    expect(remainingCandidates(WAYS, [5])).toEqual([]);
  });
});
