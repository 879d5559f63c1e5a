import { describe, expect, it } from 'vitest';
import { waysBehind } from './engineinterface';

const WAYS = [
  [1, 2, 3],
  [1, 4]
];

describe('the ways that a text may begin', () => {
  it('are all of them before anything is written', () => {
    expect(waysBehind(WAYS, [])).toEqual(WAYS);
    expect(waysBehind([], [])).toEqual([]);
  });

  it('are the rests of those that match', () => {
    expect(waysBehind(WAYS, [1])).toEqual([[2, 3], [4]]);
    expect(waysBehind(WAYS, [1, 2])).toEqual([[3]]);
  });

  it('leave nothing of one that is complete', () => {
    expect(waysBehind(WAYS, [1, 4])).toEqual([[]]);
    expect(waysBehind([...WAYS, [1, 4, 5]], [1, 4])).toEqual([[], [5]]);
  });

  it('hold to a longer one behind one that was complete before', () => {
    expect(waysBehind([[1], [1, 1, 2]], [1, 1])).toEqual([[2]]);
  });

  it('hold nothing any more behind one that was complete before, or where none agrees', () => {
    expect(waysBehind(WAYS, [1, 4, 9])).toEqual([]);
    expect(waysBehind(WAYS, [5])).toEqual([]);
  });
});
