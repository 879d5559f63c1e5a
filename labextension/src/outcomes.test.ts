import type { CodeEditor } from '@jupyterlab/codeeditor';
import { describe, expect, it, vi } from 'vitest';
import type { IStep } from './collaboration';
import { LATER, Outcomes, PAUSE, Retention, TYPING } from './outcomes';
import { type IPosition, Suggestion } from './suggestion';
import type { IFeedback } from './wire';

type Slot = (sender: unknown, change: { sourceChange?: IStep[] }) => void;

/** An editor with a user who types, the feedback that is sent, and a clock. */
class Desk {
  constructor(public text: string) {
    const changed = {
      connect: (slot: Slot) => this.slots.push(slot),
      disconnect: (slot: Slot) => (this.slots = this.slots.filter(one => one !== slot))
    };
    this.editor = {
      isDisposed: false,
      host: this.host,
      getCursorPosition: () => this.offset,
      getOffsetAt: (position: number) => position,
      model: { sharedModel: { getSource: () => this.text, changed } }
    } as unknown as CodeEditor.IEditor;
    this.offset = text.length;
    this.outcomes.watch(this.editor);
  }

  /** A suggestion that is shown at the cursor. */
  show(text: string, id = 'id'): Suggestion {
    const suggestion = new Suggestion(this.position, text);
    suggestion.id = id;
    this.outcomes.shown(suggestion);
    return suggestion;
  }

  /** A suggestion is no longer shown. */
  leave(suggestion: Suggestion, mayReturn = false): void {
    this.outcomes.left(suggestion, this.position, mayReturn);
  }

  get position(): IPosition {
    return { text: this.text, offset: this.offset };
  }

  insert(text: string, at = this.offset): void {
    this.text = this.text.slice(0, at) + text + this.text.slice(at);
    this.offset = at + text.length;
    this._changed([{ retain: at }, { insert: text }]);
  }

  delete(from: number, to: number): void {
    this.text = this.text.slice(0, from) + this.text.slice(to);
    this.offset = from;
    this._changed([{ retain: from }, { delete: to - from }]);
  }

  /** Replace the whole text, as a formatter does. */
  rewrite(text: string): void {
    const steps = [{ delete: this.text.length }, { insert: text }];
    this.text = text;
    this._changed(steps);
  }

  /** Accept it with a shortcut of JupyterLab or the mouse: the editor gets no keystroke. */
  accept(suggestion: Suggestion, text: string): void {
    const inserted = this.outcomes.accepted(suggestion, this.editor, text);
    this.insert(text);
    inserted();
  }

  /** Type elsewhere in the document for some milliseconds; another user sends no keystrokes here. */
  typeFor(milliseconds: number, { step = 500, another = false } = {}): void {
    for (let passed = 0; passed < milliseconds; passed += step) {
      this.now += step;
      if (!another) {
        this.host.dispatchEvent(new Event('keydown'));
      }
      this.insert('k', this.text.length);
    }
  }

  /** The feedback that was sent, without ids. */
  get sent(): unknown[][] {
    return this.feedback.mock.calls.map(([{ event, chars, seconds }]) => [event, chars, seconds]);
  }

  get events(): unknown[][] {
    return this.sent.map(([event, chars]) => [event, chars]);
  }

  offset: number;
  now = 1000;
  slots: Slot[] = [];
  readonly editor: CodeEditor.IEditor;
  readonly host = new EventTarget();
  readonly feedback = vi.fn<(feedback: IFeedback) => void>();
  readonly outcomes = new Outcomes({ feedback: this.feedback }, () => this.now);

  private _changed(sourceChange: IStep[]): void {
    [...this.slots].forEach(slot => slot(null, { sourceChange }));
  }
}

describe('Outcomes', () => {
  it('reports shown and accepted with characters and seconds', () => {
    const desk = new Desk('x = ');
    const suggestion = desk.show('total');
    desk.now += 1300;
    desk.insert('to');
    desk.accept(suggestion, 'tal');
    expect(desk.feedback.mock.calls).toEqual([
      [{ id: 'id', event: 'shown', chars: 5, length: 5, before: 0, seconds: 0 }],
      [{ id: 'id', event: 'accepted', chars: 5, length: 5, before: 2, seconds: 1.3 }]
    ]);
  });

  it.each([
    ['tot!', 3],
    ['x', 0],
    ['total', 5],
    ['total!', 5]
  ])('reports typed_over after %s', (typed, same) => {
    const desk = new Desk('x = ');
    const suggestion = desk.show('total');
    desk.insert(typed);
    desk.leave(suggestion);
    expect(desk.sent.at(-1)).toEqual(['typed_over', same, 0]);
  });

  it('counts code points', () => {
    const desk = new Desk('x = ');
    const text = '"😀😀é"';
    desk.accept(desk.show(text), text);
    desk.outcomes.settle();
    desk.leave(desk.show('😀a'));
    expect(desk.feedback.mock.calls.map(([{ chars, length }]) => [chars, length])).toEqual([
      [5, 5],
      [5, 5],
      [5, 5],
      [2, 2],
      [0, 2]
    ]);
  });

  it('reports dismissed if nothing else was typed or the cursor moved back', () => {
    const desk = new Desk('x = ');
    const suggestion = desk.show('total');
    desk.insert('to');
    desk.leave(suggestion);
    expect(desk.sent.at(-1)).toEqual(['dismissed', 2, 0]);
    const more = desk.show('more');
    desk.offset = 1;
    desk.leave(more);
    expect(desk.sent.at(-1)).toEqual(['dismissed', 0, 0]);
    const deleted = desk.show('more');
    desk.delete(0, 1);
    desk.leave(deleted);
    expect(desk.events.map(([event]) => event)).toEqual([
      'shown',
      'dismissed',
      'shown',
      'dismissed',
      'shown',
      'dismissed'
    ]);
  });

  it('reports nothing if the surrounding text changed or the editor is disposed', () => {
    const desk = new Desk('x = ');
    const suggestion = desk.show('total');
    desk.insert('y = 1\n', 0);
    desk.offset = desk.text.length;
    desk.leave(suggestion);
    desk.text += '\nz';
    const above = desk.show('more');
    desk.text += ' = 2';
    desk.leave(above);
    const other = desk.show('more');
    desk.outcomes.left(other, null, false);
    expect(desk.events.map(([event]) => event)).toEqual(['shown', 'shown', 'shown']);
  });

  it('reports nothing if the next suggestion may be the same or none was shown', () => {
    const desk = new Desk('x = ');
    const suggestion = desk.show('total');
    desk.insert('to');
    desk.leave(suggestion, true);
    desk.leave(new Suggestion(desk.position, 'other'));
    expect(desk.events).toEqual([['shown', 5]]);
  });

  it('waits for the id from the server', () => {
    const desk = new Desk('x = ');
    const suggestion = desk.show('total', '');
    expect(desk.sent).toEqual([]);
    suggestion.id = 'late';
    desk.now += 2000;
    desk.accept(suggestion, 'total');
    expect(desk.feedback.mock.calls.map(([{ id, event, seconds }]) => [id, event, seconds])).toEqual([
      ['late', 'shown', 2],
      ['late', 'accepted', 2]
    ]);
    desk.leave(desk.show('more', ''));
    expect(desk.sent).toHaveLength(2);
  });

  it('counts no characters if an alternative was accepted', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'other');
    expect(desk.sent.at(-1)).toEqual(['accepted', 0, 0]);
  });

  it('reports retained after half a minute of typing', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.delete(4, 6);
    desk.typeFor(TYPING - 500);
    expect(desk.events.map(([event]) => event)).toEqual(['shown', 'accepted']);
    desk.typeFor(1000);
    expect(desk.sent.at(-1)).toEqual(['retained', 11, 30]);
    desk.typeFor(2 * TYPING);
    expect(desk.sent).toHaveLength(3);
  });

  it('reports retained again after five minutes and stops following', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.typeFor(TYPING + 500);
    desk.delete(4, 9);
    desk.typeFor(LATER - TYPING - 1000);
    expect(desk.events.at(-1)).toEqual(['retained', 13]);
    desk.typeFor(1000);
    expect(desk.sent.at(-1)).toEqual(['retained', 8, 300]);
    expect(desk.slots).toHaveLength(0);
    desk.typeFor(2 * LATER);
    expect(desk.sent).toHaveLength(4);
  });

  it('reports retained once if half a minute of typing takes over five minutes', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.now += 2 * LATER;
    desk.typeFor(TYPING + 500);
    expect(desk.events).toEqual([
      ['shown', 5],
      ['accepted', 5],
      ['retained', 5]
    ]);
    expect(desk.slots).toHaveLength(0);
  });

  it('reports executed at the first run of its cell', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.typeFor(4000);
    desk.outcomes.executed({} as CodeEditor.IEditor['model']['sharedModel']); // another cell
    desk.delete(4, 6);
    desk.outcomes.executed(desk.editor.model.sharedModel);
    desk.delete(4, 9);
    desk.outcomes.executed(desk.editor.model.sharedModel);
    desk.typeFor(TYPING + 500);
    expect(desk.sent.slice(2)).toEqual([
      ['executed', 11, 4],
      ['retained', 6, 30]
    ]);
  });

  it('ignores edits of other users', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.typeFor(2 * TYPING, { another: true });
    expect(desk.sent).toHaveLength(2);
  });

  it('does not count a pause as typing', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.now += 60 * 60 * 1000;
    desk.typeFor(500);
    desk.typeFor(TYPING - PAUSE - 500);
    expect(desk.sent).toHaveLength(2);
    desk.typeFor(1000);
    expect(desk.events.at(-1)).toEqual(['retained', 5]);
  });

  it('does not count the time before the acceptance as typing', () => {
    const desk = new Desk('x = ');
    desk.typeFor(1000);
    const suggestion = desk.show('total');
    desk.now += PAUSE;
    desk.accept(suggestion, 'total');
    desk.typeFor(2 * TYPING);
    expect(desk.sent.at(-1)).toEqual(['retained', 5, 30]);
  });

  it('reports parts that were accepted or typed as one suggestion', () => {
    const desk = new Desk('x = ');
    const suggestion = desk.show('total(values)');
    desk.insert('to');
    desk.accept(suggestion, 'tal(');
    desk.outcomes.shown(suggestion);
    desk.accept(suggestion, 'values)');
    desk.typeFor(TYPING + 500);
    expect(desk.events).toEqual([
      ['shown', 13],
      ['accepted', 6],
      ['accepted', 13],
      ['retained', 13]
    ]);
  });

  it('follows a formatted text and reports nothing for a rewritten one', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.rewrite('import a\n\nx = total(values)\n');
    desk.accept(desk.show("f('a')", 'other'), "f('a')");
    desk.rewrite('import a\n\nx = total(values)\n\n\nf(\n    "a",\n)');
    desk.typeFor(TYPING + 500);
    expect(desk.events.slice(4)).toEqual([['retained', 13]]);
  });

  it('does not follow a text that was not inserted at the cursor', () => {
    const desk = new Desk('x = ');
    desk.outcomes.accepted(desk.show('total'), desk.editor, 'total')();
    desk.typeFor(TYPING + 500);
    expect(desk.events.map(([event]) => event)).toEqual(['shown', 'accepted']);
  });

  it('drop ends all reports', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    const suggestion = desk.show('(values)', 'other');
    const { sent } = desk;
    desk.outcomes.drop(suggestion);
    desk.leave(suggestion);
    desk.typeFor(2 * LATER);
    desk.outcomes.settle();
    expect(desk.sent).toEqual(sent);
    expect(desk.slots).toHaveLength(0);
  });

  it('settle reports retained for all accepted texts', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.accept(desk.show('(values)', 'other'), '(values)');
    desk.delete(8, 9);
    expect(desk.slots).toHaveLength(2);
    desk.outcomes.settle();
    expect(desk.slots).toHaveLength(0);
    expect(desk.events.slice(4)).toEqual([
      ['retained', 4],
      ['retained', 8]
    ]);
    desk.outcomes.settle();
    expect(desk.sent).toHaveLength(6);
  });
});

const left = (...steps: IStep[]): number | null => {
  const retention = new Retention(10, 'f("a", [1]');
  retention.change(steps);
  return retention.length;
};

describe('Retention', () => {
  it('is 0 after all of the text was deleted', () => {
    expect(left({ delete: 40 })).toBe(0);
    expect(left({ delete: 40 }, { insert: 'k' })).toBe(0); // all of it was selected, and a key pressed
    expect(left({ retain: 10 }, { delete: 10 }, { insert: 'same again' })).toBe(0);
  });

  it('counts the whole text if the document is replaced by an equal one', () => {
    expect(left({ delete: 40 }, { insert: 'x =  f("a", [1])' })).toBe(10);
    expect(left({ insert: 'f("a", [1])' }, { delete: 20 })).toBe(10);
  });

  it('counts the whole text if a formatter changes white space and quotes', () => {
    expect(left({ delete: 40 }, { insert: "x = f('a', [1])" })).toBe(10);
    expect(left({ delete: 40 }, { insert: "x = f(\n    'a',\n    [1])" })).toBe(10);
    expect(left({ delete: 40 }, { insert: "f('a',[1])" })).toBe(10);
    const retention = new Retention(0, 'f( "😀",  [ 1 ] )');
    retention.change([{ insert: "f('😀', [1])" }, { delete: 17 }]);
    expect(retention.length).toBe(16);
    retention.change([{ retain: 2 }, { delete: 4 }]); // the string: the emoji has two units
    expect(retention.length).toBe(13);
    retention.change([{ delete: 20 }]);
    expect(retention.length).toBe(0);
  });

  it('is unknown if the replaced document spells it differently', () => {
    expect(left({ delete: 40 }, { insert: "x = f('b', [1])" })).toBe(null);
    expect(left({ delete: 40 }, { insert: 'f("a")' })).toBe(null); // shorter than all of it, but not by much
    const retention = new Retention(10, 'total');
    retention.change([{ delete: 40 }, { insert: 'x = Total' }]);
    retention.change([{ retain: 1 }, { insert: 'k' }]);
    retention.change([{ delete: 1 }]);
    retention.change([{ delete: 40 }, { insert: 'x = total' }]);
    expect(retention.length).toBe(null);
  });

  it('follows all parts through a replaced document', () => {
    const retention = new Retention(4, 'total');
    retention.change([{ retain: 6 }, { insert: 'k' }]); // x = tokatal
    retention.change([{ delete: 10 }, { insert: 'total = tok(tal)' }]);
    expect(retention.length).toBe(5);
    retention.change([{ retain: 8 }, { delete: 4 }]); // the "to" that it found lies further up
    expect(retention.length).toBe(5);
  });

  it('counts the whole text if the text before it is changed or replaced', () => {
    expect(left({ insert: 'first' })).toBe(10);
    expect(left({ delete: 10 }, { insert: 'another start' })).toBe(10);
  });

  it('agrees with a naive count for any changes', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    for (let round = 0; round < 200; round++) {
      // Characters of the text in question are marked.
      let text = [...'.'.repeat(10), ...'x'.repeat(10), ...'.'.repeat(10)];
      const retention = new Retention(10, 'x'.repeat(10));
      for (let change = 0; change < 12; change++) {
        const at = random(text.length + 1);
        const steps: IStep[] = at ? [{ retain: at }] : [];
        if (random(2)) {
          const length = 1 + random(4);
          steps.push({ insert: 'n'.repeat(length) });
          text = [...text.slice(0, at), ...'n'.repeat(length), ...text.slice(at)];
        } else {
          const length = Math.min(1 + random(5), text.length - at);
          steps.push({ delete: length });
          text = [...text.slice(0, at), ...text.slice(at + length)];
        }
        retention.change(steps);
        expect(retention.length).toBe(text.filter(mark => mark === 'x').length);
      }
    }
  });
});
