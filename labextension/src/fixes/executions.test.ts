import { beforeEach, describe, expect, it } from 'vitest';
import { Executions } from './executions';

class Cell {
  constructor(
    public source: string,
    public executionCount: number | null = null
  ) {}

  readonly sharedModel = { getSource: () => this.source };
}

describe('Executions', () => {
  let executions: Executions;

  beforeEach(() => void (executions = new Executions()));

  const run = (cell: Cell, count: number): void => {
    executions.scheduled(cell);
    cell.executionCount = count;
    executions.executed(cell);
  };

  it('notices edits since a cell was run', () => {
    const cell = new Cell('a');
    run(cell, 1);
    expect(executions.isChanged(cell)).toBe(false);
    cell.source = 'b';
    expect(executions.isChanged(cell)).toBe(true);
    run(cell, 2);
    expect(executions.isChanged(cell)).toBe(false);
  });

  it('notices an edit while the cell is running', () => {
    const cell = new Cell('a');
    executions.scheduled(cell);
    cell.source = 'b';
    cell.executionCount = 1;
    executions.executed(cell);
    expect(executions.isChanged(cell)).toBe(true);
  });

  it('knows the last cell that was run', () => {
    const [one, other] = [new Cell('a'), new Cell('b')];
    run(one, 1);
    run(other, 2);
    expect([one, other].map(each => executions.isLast(each))).toEqual([false, true]);
    run(one, 3);
    expect([one, other].map(each => executions.isLast(each))).toEqual([true, false]);
  });

  it('ignores saved numbers of another kernel', () => {
    const [saved, cell] = [new Cell('a', 1), new Cell('b')];
    run(cell, 1);
    expect([saved, cell].map(each => executions.countOf(each))).toEqual([null, 1]);
  });

  it('accepts numbers of executions before the page was opened', () => {
    const [older, cell] = [new Cell('a', 3), new Cell('b')];
    run(cell, 4);
    expect([older, cell].map(each => executions.countOf(each))).toEqual([3, 4]);
    expect([older, cell].map(each => executions.isChanged(each))).toEqual([null, false]);
  });

  it('forgets all executions when the kernel is restarted', () => {
    const [one, other] = [new Cell('a'), new Cell('b')];
    run(one, 1);
    run(other, 2);
    run(other, 1);
    expect([one, other].map(each => executions.countOf(each))).toEqual([null, 1]);
  });

  it('ignores a cell that was not run', () => {
    const cell = new Cell('a');
    let started = 0;
    executions.started.connect(() => started++);
    executions.scheduled(cell);
    executions.executed(cell);
    expect(started).toBe(1);
    expect([executions.countOf(cell), executions.isChanged(cell)]).toEqual([null, false]);
  });
});
