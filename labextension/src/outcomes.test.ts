import type { CodeEditor } from '@jupyterlab/codeeditor';
import { describe, expect, it, vi } from 'vitest';
import { Run } from './inflight';
import type { IStep } from './kept';
import { Outcomes, PAUSE, TYPING } from './outcomes';
import { Suggestion } from './suggestion';

type Slot = (sender: unknown, change: { sourceChange?: IStep[] }) => void;

/** An editor in which somebody types, what becomes of a suggestion there, and the time. */
class Desk {
  constructor(public text: string) {
    const changed = {
      connect: (slot: Slot) => this.slots.push(slot),
      disconnect: (slot: Slot) => (this.slots = this.slots.filter(one => one !== slot))
    };
    this.editor = {
      isDisposed: false,
      getCursorPosition: () => this.offset,
      getOffsetAt: (position: number) => position,
      model: { sharedModel: { getSource: () => this.text, changed } }
    } as unknown as CodeEditor.IEditor;
    this.offset = text.length;
    this.outcomes.watch(this.editor);
  }

  /** A suggestion that is shown at the cursor. */
  show(text: string, id = 'id'): Run {
    const place = { text: this.text, offset: this.offset };
    const run = new Run(this.editor, place, new Suggestion('s', place), false, id);
    run.suggestion.grow(text);
    this.outcomes.shown(run);
    return run;
  }

  insert(text: string, at = this.offset): void {
    this.text = this.text.slice(0, at) + text + this.text.slice(at);
    this.offset = at + text.length;
    this._tell([{ retain: at }, { insert: text }]);
  }

  delete(from: number, to: number): void {
    this.text = this.text.slice(0, from) + this.text.slice(to);
    this.offset = from;
    this._tell([{ retain: from }, { delete: to - from }]);
  }

  accept(run: Run, text: string): void {
    const stands = this.outcomes.accepted(run, text);
    this.insert(text);
    stands();
  }

  /** Type elsewhere in the document for so many milliseconds. */
  async typeFor(milliseconds: number, step = 500): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += step) {
      this.now += step;
      this.insert('k', this.text.length);
    }
    await Promise.resolve();
  }

  get told(): unknown[][] {
    return this.feedback.mock.calls.map(([, ...rest]) => rest as unknown[]);
  }

  offset: number;
  now = 1000;
  slots: Slot[] = [];
  readonly editor: CodeEditor.IEditor;
  readonly feedback = vi.fn();
  readonly outcomes = new Outcomes({ feedback: this.feedback }, () => this.now);

  private _tell(sourceChange: IStep[]): void {
    [...this.slots].forEach(slot => slot(null, { sourceChange }));
  }
}

describe('what becomes of a suggestion', () => {
  it('is told with how much of it stands there and when', () => {
    const desk = new Desk('x = ');
    const run = desk.show('total');
    desk.now += 1300;
    desk.insert('to');
    desk.accept(run, 'tal');
    expect(desk.told).toEqual([
      ['shown', 5, 0],
      ['taken', 5, 1.3]
    ]);
  });

  it.each([
    ['tot!', 3],
    ['x', 0],
    ['total', 5],
    ['total!', 5]
  ])('is typed over by %s', (typed, same) => {
    const desk = new Desk('x = ');
    const run = desk.show('total');
    desk.insert(typed);
    desk.outcomes.left(run, false);
    expect(desk.told.at(-1)).toEqual(['typed_over', same, 0]);
  });

  it('is dismissed where nothing else is typed', () => {
    const desk = new Desk('x = ');
    const run = desk.show('total');
    desk.insert('to');
    desk.outcomes.left(run, false);
    expect(desk.told.at(-1)).toEqual(['dismissed', 2, 0]);
    desk.offset = 1;
    desk.outcomes.left(desk.show('more'), false);
    expect(desk.told.at(-1)).toEqual(['dismissed', 0, 0]);
  });

  it('is not told while another may go on with it, nor of what was not shown', () => {
    const desk = new Desk('x = ');
    const run = desk.show('total');
    desk.insert('to');
    desk.outcomes.left(run, true);
    desk.outcomes.left(new Run(desk.editor, run.place, run.suggestion, false, 'other'), false);
    expect(desk.told).toEqual([['shown', 5, 0]]);
  });

  it('is told under the name that the server gives it, once it has one', () => {
    const desk = new Desk('x = ');
    const run = desk.show('total', '');
    expect(desk.told).toEqual([]);
    run.id = 'late';
    desk.now += 2000;
    desk.accept(run, 'total');
    expect(desk.feedback.mock.calls).toEqual([
      ['late', 'shown', 5, 0],
      ['late', 'taken', 5, 2]
    ]);
    desk.outcomes.left(desk.show('more', ''), false);
    expect(desk.told).toHaveLength(2);
  });

  it('is none of it that is taken where an alternative is', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'other');
    expect(desk.told.at(-1)).toEqual(['taken', 0, 0]);
  });

  it('says what is left of it after half a minute of typing', async () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.delete(4, 6);
    await desk.typeFor(TYPING - 500);
    expect(desk.told.map(([event]) => event)).toEqual(['shown', 'taken']);
    await desk.typeFor(1000);
    expect(desk.told.at(-1)).toEqual(['retained', 11, 30]);
    const slots = desk.slots.length;
    await desk.typeFor(2 * TYPING);
    expect(desk.told).toHaveLength(3);
    expect(slots).toBe(1); // nothing follows it any more
  });

  it('takes a pause for no typing', async () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.now += 60 * 60 * 1000;
    desk.insert('k', desk.text.length);
    await desk.typeFor(TYPING - PAUSE - 500);
    expect(desk.told).toHaveLength(2);
    await desk.typeFor(1000);
    expect(desk.told.at(-1)?.slice(0, 2)).toEqual(['retained', 5]);
  });

  it('counts what was taken piece by piece, and typed before, as one', async () => {
    const desk = new Desk('x = ');
    const run = desk.show('total(values)');
    desk.insert('to');
    desk.accept(run, 'tal(');
    desk.outcomes.shown(run);
    desk.accept(run, 'values)');
    await desk.typeFor(TYPING + 500);
    expect(desk.told.map(told => told.slice(0, 2))).toEqual([
      ['shown', 13],
      ['taken', 6],
      ['taken', 13],
      ['retained', 13]
    ]);
  });

  it('says that nothing is left of what was undone at once', async () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.delete(4, 9);
    await desk.typeFor(TYPING + 500);
    expect(desk.told.at(-1)?.slice(0, 2)).toEqual(['retained', 0]);
  });

  it('follows nothing that did not come to stand before the cursor', async () => {
    const desk = new Desk('x = ');
    desk.outcomes.accepted(desk.show('total'), 'total')();
    await desk.typeFor(TYPING + 500);
    expect(desk.told.map(([event]) => event)).toEqual(['shown', 'taken']);
  });

  it('lets go of everything', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    expect(desk.slots).toHaveLength(2);
    desk.outcomes.dispose();
    expect(desk.slots).toHaveLength(1);
  });
});
